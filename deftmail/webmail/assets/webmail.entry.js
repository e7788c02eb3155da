// The webmail: reading frames, moving through the list by key, acts that show at once. Everything works without it.
import { htmx, on, register } from '@deftmail/ui'
import './composer.js'

const mail = document.getElementById('mail')
const narrow = matchMedia('(width < 48rem)')
const pane = (name) => mail && (mail.dataset.pane = name)

// ——— Message bodies: a frame as high as what is in it. Its page has no scripts; we only measure.
register('.message-frame', (frame) => {
  const fit = () => {
    const page = frame.contentDocument
    if (!page?.body) return
    const height = () => {
      const wanted = Math.min(Math.max(page.documentElement.scrollHeight, 24), 20000)
      if (Math.abs(frame.clientHeight - wanted) > 2) frame.height = wanted
    }
    frame.removeAttribute('height')
    height()
    new ResizeObserver(height).observe(page.body)
    const note = frame.parentElement.querySelector('[data-images-note]')
    if (note) note.hidden = !(Number(page.body.dataset.blocked) > 0)
    // Keys pressed inside the frame are meant for the list and the conversation too.
    page.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return
      const copy = new KeyboardEvent('keydown', { key: event.key, code: event.code, shiftKey: event.shiftKey, bubbles: true, cancelable: true })
      if (!document.body.dispatchEvent(copy)) event.preventDefault()
    })
  }
  frame.addEventListener('load', fit)
  if (frame.contentDocument?.readyState === 'complete' && frame.contentDocument.body?.dataset.blocked !== undefined) fit()
})

// Remote images of this conversation: reload the frames with images, not the page.
on('click', '[data-show-images]', (event, link) => {
  event.preventDefault()
  const message = link.closest('.message')
  for (const frame of message.querySelectorAll('.message-frame')) {
    const url = new URL(frame.src)
    url.searchParams.set('images', '1')
    frame.src = url
  }
  link.closest('[data-images-note]').hidden = true
})

// ——— The list. A click marks the row and shows the reading pane before the server answers.
on('click', '.thread [data-open]', (event, link) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return
  choose(link.closest('.thread'))
  if (narrow.matches) pane('reading')
})

function choose(row) {
  for (const other of document.querySelectorAll('.thread[aria-current]')) other.removeAttribute('aria-current')
  row.setAttribute('aria-current', 'true')
  row.removeAttribute('data-unread')
  const form = document.getElementById('list-form')
  if (form) form.elements.thread.value = row.dataset.thread
}

on('click', '[data-back]', (event) => {
  if (!narrow.matches || !document.getElementById('list-form')) return
  event.preventDefault()
  pane('list')
  document.querySelector('.thread[aria-current] .row-link')?.focus()
})

// What leaves the list fades while the server is asked; on failure the answer's toast says why and it comes back.
const LEAVING = /^(archive|trash|junk|not_junk|move)/
document.addEventListener('submit', (event) => {
  const act = event.submitter?.value ?? ''
  const fromReading = event.target.matches('[data-reading-acts]')
  if (!event.target.matches('#list-form') && !fromReading) return
  const rows = fromReading
    ? document.querySelectorAll('.thread[aria-current]')
    : [...document.querySelectorAll('.thread')].filter((row) => row.querySelector('input[name=ids]')?.checked)
  for (const row of rows) {
    if (LEAVING.test(act)) row.dataset.leaving = ''
    else if (act === 'read') row.removeAttribute('data-unread')
    else if (act === 'unread') row.dataset.unread = ''
  }
})
document.addEventListener('htmx:after:request', () => {
  setTimeout(() => document.querySelectorAll('.thread[data-leaving]').forEach((row) => delete row.dataset.leaving), 1500)
})
document.addEventListener('htmx:after:swap', () => {
  if (narrow.matches && mail?.dataset.pane === 'reading' && document.querySelector('[data-nothing-open]')) pane('list')
})
addEventListener('popstate', () => location.reload())

// ——— Keys.
const rows = () => [...document.querySelectorAll('.thread')]
const current = () => document.activeElement?.closest?.('.thread') ?? document.querySelector('.thread[aria-current]')

function step(by) {
  const all = rows()
  if (!all.length) return
  const at = all.indexOf(current())
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)]
  const link = next.querySelector('.row-link')
  link.focus()
  next.scrollIntoView({ block: 'nearest' })
  // With a conversation open beside the list, moving reads on.
  if (!narrow.matches && document.querySelector('#reading .conversation')) link.click()
}

function press(act) {
  const checked = document.querySelector('input[name=ids]:checked')
  const row = document.activeElement?.closest?.('.thread')
  const reading = document.querySelector(`#reading [data-act="${act}"]`)
  if (!checked && row && !(row.getAttribute('aria-current') && reading)) row.querySelector('input[name=ids]').click()
  const inList = checked || document.querySelector('input[name=ids]:checked')
  const button = inList ? document.querySelector(`#list-form [data-bulk] [data-act="${act}"]`) : reading
  if (!button) return
  if (act === 'move') {
    button.closest('details').open = true
    button.closest('details').querySelector('.menu-panel button')?.focus()
  } else button.click()
}

on('click', '[data-mail-key]', (_event, button) => {
  const key = button.dataset.mailKey
  if (key === 'next') step(1)
  else if (key === 'previous') step(-1)
  else if (key === 'open') current()?.querySelector('.row-link')?.click()
  else if (key === 'select') current()?.querySelector('input[name=ids]')?.click()
  else press(key)
})

// ——— After sending: the conversation and the list show it.
document.addEventListener('deft:sent', () => {
  const list = document.querySelector('[data-refresh]')
  if (list) htmx.ajax('GET', list.getAttribute('href'), { target: '#list-pane', swap: 'innerHTML', source: document.body })
  if (document.querySelector('#reading .conversation') && /\/t\//.test(location.pathname)) {
    htmx.ajax('GET', location.pathname + location.search, { target: '#reading', swap: 'innerHTML', source: document.body })
  }
})
