-- What may have a signature leaves with it or waits (4xx): where the keys are away or gone, rspamd alone would let the
-- message out unsigned, and the receiver of an aligned DMARC policy would refuse it.
rspamd_config:register_symbol({
  name = 'DEFTMAIL_UNSIGNED',
  type = 'postfilter',
  priority = 1,
  flags = 'ignore_passthrough',
  callback = function(task)
    local domain = task:get_mempool():get_variable('deftmail_must_be_signed')
    if not domain or task:has_symbol('DKIM_SIGNED') or task:get_metric_action() == 'reject' then return end
    task:insert_result('DEFTMAIL_UNSIGNED', 0.0, domain)
    task:set_pre_result('soft reject', 'Signing is not available at the moment, try again later', 'deftmail')
  end,
})
