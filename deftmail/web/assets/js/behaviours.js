// Small behaviours by attribute. Each one only adds to something that works without it.
import { announce, on, register, say, setCookie } from './ui.js'

// Copy: data-copy="text" on a button.
on('click', '[data-copy]', async (_event, button) => {
  try {
    await navigator.clipboard.writeText(button.dataset.copy)
  } catch {
    const area = Object.assign(document.createElement('textarea'), { value: button.dataset.copy })
    document.body.append(area)
    area.select()
    document.execCommand('copy')
    area.remove()
    button.focus()
  }
  button.dataset.copied = ''
  announce(say('copied'))
  for (const icon of button.querySelectorAll('[data-when]')) icon.toggleAttribute('hidden', icon.dataset.when !== 'copied')
  setTimeout(() => {
    delete button.dataset.copied
    for (const icon of button.querySelectorAll('[data-when]')) icon.toggleAttribute('hidden', icon.dataset.when === 'copied')
  }, 1600)
})

// Show what is typed into a password field.
register('[data-reveal]', (button) => (button.hidden = false))
on('click', '[data-reveal]', (_event, button) => {
  const input = document.getElementById(button.dataset.reveal)
  const shown = input.type === 'password'
  input.type = shown ? 'text' : 'password'
  button.setAttribute('aria-pressed', String(shown))
  for (const icon of button.querySelectorAll('[data-when]')) icon.toggleAttribute('hidden', (icon.dataset.when === 'shown') !== shown)
})

// The browser's time zone, for forms that begin a session.
register('[data-timezone]', (input) => (input.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? ''))

// Menus (<details class="menu">): close on outside click, on Escape, when an item is used; arrows walk the items.
const items = (menu) => [...menu.querySelectorAll('.menu-panel :is(a[href], button):not([disabled])')]
document.addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    const inside = menu.contains(event.target)
    if (!inside || (event.target.closest('.menu-panel :is(a, button)') && !event.target.closest('[data-keep-open]'))) menu.open = false
  }
})
on('keydown', 'details.menu', (event, menu) => {
  if (event.key === 'Escape' && menu.open) {
    menu.open = false
    menu.querySelector('summary').focus()
    event.stopPropagation()
  } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    event.preventDefault()
    menu.open = true
    const all = items(menu)
    const at = all.indexOf(document.activeElement)
    all.at(event.key === 'ArrowDown' ? (at + 1) % all.length : at <= 0 ? -1 : at - 1)?.focus()
  }
})
on('focusout', 'details.menu', (event, menu) => {
  if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false
})

// Theme: system, light or dark. The server reads the cookie, so the next page starts right.
on('click', '[data-theme-set]', (_event, button) => {
  const theme = button.dataset.themeSet
  setCookie('dm_theme', theme)
  document.documentElement.dataset.theme = theme
  for (const other of document.querySelectorAll('[data-theme-set]')) other.setAttribute('aria-pressed', String(other.dataset.themeSet === theme))
})

// Forms: a filter that sends itself, a submit button that shows it was pressed and is not pressed twice.
on('change', '[data-autosubmit]', (_event, control) => control.form?.requestSubmit())
register('[data-autosubmit-button]', (button) => (button.hidden = true))
on('submit', 'form', (event, form) => {
  if (form.method === 'dialog' || event.defaultPrevented) return
  const button = event.submitter
  if (!button || button.hasAttribute('data-again')) return
  // After the browser has read the form: a disabled button's own name and value would not be sent.
  setTimeout(() => button.setAttribute('aria-busy', 'true'))
  setTimeout(() => button.removeAttribute('aria-busy'), 8000)
})
// A button's own address counts, as it does without htmx, which reads it on boosted forms only.
document.addEventListener('htmx:config:request', ({ detail: { ctx } }) => {
  if (ctx.request.submitter?.hasAttribute('formaction')) ctx.request.action = ctx.request.submitter.getAttribute('formaction')
})
document.addEventListener('htmx:before:request', (event) => event.detail.ctx.request.submitter?.setAttribute('aria-busy', 'true'))
document.addEventListener('htmx:finally:request', (event) => event.detail.ctx.request.submitter?.removeAttribute('aria-busy'))
addEventListener('pageshow', () => {
  for (const button of document.querySelectorAll('button[aria-busy="true"]')) button.removeAttribute('aria-busy')
})
// Capture: before htmx and the browser see a second press, also one by the Enter key.
document.addEventListener(
  'submit',
  (event) => {
    if (event.submitter?.getAttribute('aria-busy') !== 'true') return
    event.preventDefault()
    event.stopImmediatePropagation()
  },
  true,
)

// Many rows: data-select-all="name" checks all boxes of that name; [data-bulk] shows while any is checked.
function bulk(name) {
  const boxes = [...document.querySelectorAll(`input[type=checkbox][name="${CSS.escape(name)}"]`)]
  const checked = boxes.filter((box) => box.checked).length
  for (const bar of document.querySelectorAll(`[data-bulk="${CSS.escape(name)}"]`)) {
    bar.hidden = !checked
    for (const count of bar.querySelectorAll('[data-bulk-count]')) count.textContent = String(checked)
  }
  for (const all of document.querySelectorAll(`[data-select-all="${CSS.escape(name)}"]`)) {
    all.checked = checked > 0 && checked === boxes.length
    all.indeterminate = checked > 0 && checked < boxes.length
  }
}
on('change', '[data-select-all]', (_event, all) => {
  for (const box of document.querySelectorAll(`input[type=checkbox][name="${CSS.escape(all.dataset.selectAll)}"]`)) box.checked = all.checked
  bulk(all.dataset.selectAll)
})
let last = null // shift-click checks the range
on('click', 'input[type=checkbox][name]', (event, box) => {
  if (!document.querySelector(`[data-select-all="${CSS.escape(box.name)}"], [data-bulk="${CSS.escape(box.name)}"]`)) return
  const boxes = [...document.querySelectorAll(`input[type=checkbox][name="${CSS.escape(box.name)}"]`)]
  if (event.shiftKey && last && boxes.includes(last)) {
    const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b)
    for (const other of boxes.slice(from, to + 1)) other.checked = box.checked
  }
  last = box
  bulk(box.name)
})
register('[data-bulk]', (bar) => bulk(bar.dataset.bulk))

// Times stay true while the page is open.
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang || 'en', { numeric: 'auto', style: 'short' })
function freshen(time) {
  const past = (new Date(time.dateTime) - Date.now()) / 1000
  const away = Math.abs(past)
  if (away > 86400) return
  const [unit, size] = away < 60 ? ['second', 1] : away < 3600 ? ['minute', 60] : ['hour', 3600]
  const text = away < 45 ? say('now') : relative.format(Math.round(past / size), unit)
  if (time.textContent !== text) time.textContent = text
}
setInterval(() => document.querySelectorAll('time[data-ago]').forEach(freshen), 30000)
