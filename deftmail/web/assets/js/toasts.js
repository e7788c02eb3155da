// Toasts: from the server in a page, from HX-Trigger of a fragment, from scripts. Undo posts and puts the toast away.
import { announce, cookie, htmx, on, register, say, tidyToasts, toast } from './ui.js'

const STAY = { info: 6000, success: 6000, warning: 10000, error: 0 } // ms; an error stays until it is put away

function close(element) {
  element.dataset.leaving = ''
  setTimeout(() => element.remove(), 150)
}

register('.toast', (element) => {
  const region = element.closest('#toasts')
  // The top layer, so that a toast is seen above an open dialog.
  if (region?.showPopover) {
    region.popover = 'manual'
    if (region.matches(':popover-open')) region.hidePopover()
    region.showPopover()
  }
  const kind = element.dataset.kind || 'info'
  if (kind !== 'error') announce(element.querySelector('p')?.textContent)
  const stay = element.querySelector('form, a') ? Math.max(STAY[kind], 10000) : STAY[kind]
  if (!stay) return
  let timer = setTimeout(() => close(element), stay)
  for (const type of ['pointerenter', 'focusin']) element.addEventListener(type, () => clearTimeout(timer))
  for (const type of ['pointerleave', 'focusout']) {
    element.addEventListener(type, () => {
      clearTimeout(timer)
      timer = setTimeout(() => close(element), stay / 2)
    })
  }
})

on('click', '.toast-close', (_event, button) => close(button.closest('.toast')))

// Undo by htmx where the page can take it, else the plain form goes its way.
on('submit', '.toast form', (event, form) => {
  event.preventDefault()
  close(form.closest('.toast'))
  const target = document.querySelector('[data-undo-target]') ?? document.body
  const swap = target === document.body ? 'none' : 'outerHTML'
  htmx.ajax('POST', form.action, { target, swap, headers: { 'X-CSRFToken': csrf() }, source: document.body })
})

/** Django's token: from the form fields of the page, or the body's htmx headers. */
export function csrf() {
  const headers = document.body.getAttribute('hx-headers:inherited')
  return (headers && JSON.parse(headers)['X-CSRFToken']) || cookie('dm_csrf')
}

document.addEventListener('deft:toast', (event) => {
  for (const { text, undo, kind } of event.detail?.toasts ?? []) toast(text, { undo, kind })
})
document.addEventListener('deft:announce', (event) => announce(event.detail?.text))

// What goes wrong in [data-own-errors] is of no interest when that has closed.
const about = ({ sourceElement }) => sourceElement?.closest?.('[data-own-errors]') ?? null
document.addEventListener('htmx:after:swap', ({ detail: { ctx } }) => {
  if (ctx.target?.id === 'toasts') ctx.target.lastElementChild.about = about(ctx)
  tidyToasts()
})

// An answer that is no fragment must not be swapped in: say it, and keep what was typed.
document.addEventListener('htmx:after:request', (event) => {
  const { ctx } = event.detail
  const { status, headers } = ctx.response
  if (status < 400 || status === 400 || status === 422 || headers.get('HX-Retarget')) return
  ctx.swap = 'none'
  const wait = Number(headers.get('Retry-After'))
  const text = { 401: say('signedOut'), 403: say('refused'), 404: say('gone'), 429: say('tooMany'), 503: say('away') }[status] ?? say('failed')
  toast(wait ? `${text} (${wait} s)` : text, { kind: 'error', about: about(ctx) })
})
document.addEventListener('htmx:error', (event) => {
  const { error, ctx } = event.detail ?? {}
  if (error instanceof TypeError || ctx?.status?.startsWith?.('error')) toast(say('offline'), { kind: 'error', about: ctx && about(ctx) })
})
