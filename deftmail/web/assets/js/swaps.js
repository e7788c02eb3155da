// htmx: new pieces are enhanced, focus is kept, a long request shows.
import { cookie, enhance } from './ui.js'

let focused = null // what had the focus before a swap, by id or by data-focus-key

document.addEventListener('htmx:before:swap', () => {
  const active = document.activeElement
  focused = active && active !== document.body ? { id: active.id, key: active.dataset.focusKey } : null
})
document.addEventListener('htmx:after:swap', () => {
  enhance(document)
  const active = document.activeElement
  if (focused && (!active || active === document.body) && !document.querySelector('dialog[open]')) {
    const again =
      (focused.id && document.getElementById(focused.id)) || (focused.key && document.querySelector(`[data-focus-key="${CSS.escape(focused.key)}"]`))
    // Where the element is gone, the main part takes the focus: the next Tab goes on from there, not from the top.
    const target = again || document.querySelector('[data-focus-fallback]') || document.getElementById('main')
    target?.focus({ preventScroll: true })
  }
  focused = null
})

// Who signed in again in another tab has a new token, and this page the old one in its forms.
document.addEventListener('htmx:config:request', ({ detail: { ctx } }) => {
  const { headers, body } = ctx.request
  const token = cookie('dm_csrf')
  if (!token) return
  if ('X-CSRFToken' in headers) headers['X-CSRFToken'] = token
  if (body.has('csrfmiddlewaretoken')) body.set('csrfmiddlewaretoken', token)
})

let running = 0
const busy = (change) => {
  running = Math.max(0, running + change)
  document.documentElement.toggleAttribute('data-busy', running > 0)
}
document.addEventListener('htmx:before:request', () => busy(1))
document.addEventListener('htmx:finally:request', () => busy(-1))
