-- Who writes is who signed in: From is the envelope's sender, which Postfix or the gate has compared with the account, and
-- no second one (RFC 6409 §6.1, §8.1). Else one company's mailbox could write into another's inbox as one of its people:
-- what is sent inside the house passes no DMARC. A "+tag" is the account's own too (RFC 5233).
local function base(address)
  return ((address or ''):lower():gsub('%+[^@]*@', '@'))
end

rspamd_config:register_symbol({
  name = 'DEFTMAIL_FOREIGN_FROM',
  type = 'prefilter',
  priority = 10,
  callback = function(task)
    local service = tostring(task:get_request_header('MTA-Name') or '')
    if service ~= 'submission' and service ~= 'jmap' then return end
    local from, sender = task:get_from('mime') or {}, task:get_from('smtp') or {}
    local headers = task:get_header_full('From') or {}
    if #headers == 1 and #from == 1 and sender[1] and base(from[1].addr) == base(sender[1].addr) then return end
    task:set_pre_result('reject', 'From must be the address you signed in with, and no other', 'deftmail')
  end,
})

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
