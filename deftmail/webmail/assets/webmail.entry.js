// The webmail: reading frames, moving through the list by key, acts that show at once. Everything works without it.
import { htmx, on, register } from '@deftmail/ui'
import './composer.js'

const narrow = matchMedia('(width < 48rem)')
const mail = () => document.getElementById('mail')
const pane = (name) => mail() && (mail().dataset.pane = name)
const rows = () => [...document.querySelectorAll('.thread')]
const linkOf = (row) => row?.querySelector('.row-link')
const openRow = () => document.querySelector('.thread[aria-current]')

// Mail that is wider than its frame is made smaller until it fits. Below half its size nobody could read it: it scrolls.
function shrink({ documentElement: root }) {
  root.style.zoom = ''
  let widest = root.scrollWidth
  // What is cut off by something around it, or sticks out where a page cannot scroll to, counts too.
  for (const each of root.querySelectorAll('table, img')) {
    const { left, right } = each.getBoundingClientRect()
    if (right > 0) widest = Math.max(widest, right - Math.min(left, 0))
  }
  if (widest <= root.clientWidth + 1) return 1
  const scale = Math.max(Math.floor((root.clientWidth / widest) * 1000) / 1000, 0.5)
  root.style.zoom = scale
  return scale
}

// ——— Message bodies: a frame as high as what is in it. Its page has no scripts; we only measure.
register('.message-frame', (frame) => {
  const fit = () => {
    const page = frame.contentDocument
    if (!page?.body || page.body.dataset.blocked === undefined) return
    const root = page.documentElement
    const resize = () => {
      if (!frame.offsetParent) return
      const scale = shrink(page)
      const content = Math.ceil(Math.max(page.body.scrollHeight, page.body.offsetHeight, 24) * scale)
      // Its own padding, and the bar of what scrolls sideways, come on top.
      const wanted = Math.min(content, 30000) + frame.offsetHeight - root.clientHeight
      if (Math.abs(frame.offsetHeight - wanted) > 1) frame.style.height = `${wanted}px`
    }
    resize()
    const watch = new ResizeObserver(resize)
    watch.observe(page.body)
    watch.observe(frame)
    const note = frame.closest('.message-body')?.querySelector('[data-images-note]')
    if (note) note.hidden = !(Number(page.body.dataset.blocked) > 0)
    // Keys pressed inside the frame are meant for the list and the conversation too.
    page.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return
      const copy = new KeyboardEvent('keydown', { key: event.key, code: event.code, shiftKey: event.shiftKey, bubbles: true, cancelable: true })
      if (!frame.dispatchEvent(copy)) event.preventDefault()
    })
  }
  frame.addEventListener('load', fit)
  if (frame.contentDocument?.readyState === 'complete') fit()
})

// Remote images of one message: its frame is asked for again with images, not the page.
on('click', '[data-show-images]', (event, link) => {
  event.preventDefault()
  for (const frame of link.closest('.message').querySelectorAll('.message-frame')) {
    const url = new URL(frame.src)
    url.searchParams.set('images', '1')
    frame.src = url
  }
  link.closest('[data-images-note]').hidden = true
})
on('click', '[data-unfold]', () => {
  for (const message of document.querySelectorAll('.message')) message.open = true
})
// A long conversation opens at its first unread message, or at its last.
register('[data-reading-scroll]', (scroll) => {
  const messages = [...scroll.querySelectorAll('.message')]
  const first = messages.find((message) => message.hasAttribute('data-was-unread')) ?? messages.at(-1)
  if (messages.length > 1 && first && first.offsetTop > scroll.clientHeight / 2) scroll.scrollTop = first.offsetTop - 64
})

// ——— The list. A click marks the row and shows the reading pane before the server answers.
on('click', '.thread [data-open]', (event, link) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return
  const row = link.closest('.thread')
  opening = { row, unread: 'unread' in row.dataset }
  choose(row)
  row.removeAttribute('data-unread')
  if (narrow.matches) pane('reading')
})
const nothing = (document.getElementById('nothing-open')?.content ?? document).querySelector('[data-nothing-open]')?.cloneNode(true)
let opening = null // the row that was clicked last, and whether it was unread

// Where no conversation came, none is open: one that stayed there would be taken, and answered, for the one clicked.
function emptied(ctx) {
  const form = document.getElementById('list-form')
  if (ctx?.target?.id !== 'reading' || !form || !nothing) return
  const gone = ctx.response?.status === 404
  const shown = document.querySelector('#reading-acts [name=thread]')?.value
  if (!gone && shown && shown === openRow()?.dataset.thread) return // only asked for anew
  const clicked = ctx.sourceElement?.closest?.('.thread')
  if (clicked && clicked === opening?.row && opening.unread) clicked.dataset.unread = ''
  ctx.push = 'false'
  history[clicked && shown ? 'pushState' : 'replaceState']({ htmx: true }, '', form.dataset.listUrl)
  document.getElementById('reading').replaceChildren(nothing.cloneNode(true))
  choose(null)
  if (narrow.matches) {
    pane('list')
    linkOf(clicked)?.focus()
  }
  if (gone) refresh()
}
document.addEventListener('htmx:after:request', ({ detail: { ctx } }) => ctx.response.status >= 400 && emptied(ctx))
document.addEventListener('htmx:error', ({ detail: { ctx } }) => emptied(ctx))

// What can be done with the row under the pointer: made when it is there, fifty times less to send.
const fine = matchMedia('(hover: hover) and (pointer: fine)')
on('pointerover', '.thread', (_event, row) => {
  if (!fine.matches) return
  let acts = row.querySelector('.thread-acts')
  if (!acts) {
    const template = document.getElementById('row-acts')
    if (!template) return
    acts = document.importNode(template.content.firstElementChild, true)
    for (const button of acts.children) button.value += `|${row.querySelector('input[name=ids]').value}`
    row.append(acts)
  }
  const unread = 'unread' in row.dataset
  acts.querySelector('[value^="read|"]').hidden = !unread
  acts.querySelector('[value^="unread|"]').hidden = unread
})

function choose(row) {
  openRow()?.removeAttribute('aria-current')
  row?.setAttribute('aria-current', 'true')
  const form = document.getElementById('list-form')
  if (form) form.elements.thread.value = row?.dataset.thread ?? ''
}

on('click', '[data-back]', (event, link) => {
  if (!narrow.matches || !document.getElementById('list-form')) return
  event.preventDefault()
  pane('list')
  history.pushState({ htmx: true }, '', link.href)
  retitle()
  linkOf(openRow())?.focus()
})

// The page is named by what it shows: the conversation, or the list with what is unread in it.
const ending = document.title.slice(document.title.lastIndexOf(' · '))
function retitle() {
  if (!document.getElementById('list-form')) return
  const read = narrow.matches && mail().dataset.pane !== 'reading' ? null : document.querySelector('#reading .conversation > h2')
  const list = document.querySelector('.folder-link[aria-current]')?.dataset.title ?? document.querySelector('.list-title > h1')?.textContent
  const name = read?.textContent ?? list
  if (name) document.title = name + ending
}
document.addEventListener('htmx:finally:request', retitle)

// ——— Acts show at once: what leaves the list fades, marks change. If the server refuses, its answer says why.
const LEAVING = /^(archive|trash|junk|not_junk|move)/
let next = -1 // the row that takes the focus when the one that had it leaves

document.addEventListener('submit', (event) => {
  const form = event.target
  const button = event.submitter
  if (!form.matches('#list-form, [data-reading-acts]') || !button) return
  const act = button.name === 'row' ? button.value.split('|')[0] : button.value
  const fromReading = Boolean(button.closest('#reading'))
  const about = button.closest('.thread') ? [button.closest('.thread')] : fromReading ? [openRow()].filter(Boolean) : ticked()
  const at = rows().indexOf(about[0])
  next = LEAVING.test(act) && (button.closest('.thread') || fromReading || about.length) ? at : -1
  for (const row of about) {
    if (LEAVING.test(act)) row.dataset.leaving = ''
    else if (act === 'read') row.removeAttribute('data-unread')
    else if (act === 'unread') row.dataset.unread = ''
    else if (act === 'star' || act === 'unstar') row.querySelector('.thread-star button')?.setAttribute('aria-pressed', String(act === 'star'))
  }
})
// After Undo the focus, which was in the toast that goes away, belongs to what came back.
let before = null // the conversations of the list before an Undo; until they are back no other row takes the focus
document.addEventListener('submit', (event) => {
  if (event.target.matches('.toast form')) before = new Set(rows().map((row) => row.dataset.thread))
})
// The answer of an act before may come in between, so it waits for its own; who moves on himself is left alone.
for (const type of ['keydown', 'pointerdown']) {
  addEventListener(
    type,
    () => {
      next = -1
      before = null
    },
    true,
  )
}
const ticked = () => rows().filter((row) => row.querySelector('input[name=ids]')?.checked)
document.addEventListener('htmx:finally:request', () => {
  setTimeout(() => document.querySelectorAll('.thread[data-leaving]').forEach((row) => delete row.dataset.leaving), 1200)
})

// While a list is put in anew its buttons are not htmx's yet: what is pressed in that moment is done right after it,
// or the browser would send the form itself and load the page.
let swapping = false
let pressed = null // an act of the keyboard, or the button of a form
document.addEventListener(
  'submit',
  (event) => {
    if (!swapping || !event.target.matches('#list-form, [data-reading-acts]')) return
    event.preventDefault()
    event.stopImmediatePropagation()
    const { name, value } = event.submitter ?? {}
    pressed = () => document.querySelector(`[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]`)?.click()
  },
  true,
)

// ——— A list that comes anew keeps its place; the focus goes to the row that moved up.
let scrolled = 0
let place = -1 // where in the list the focus was
document.addEventListener('htmx:before:swap', () => {
  swapping = true
  place = rows().indexOf(focusedRow())
  scrolled = document.querySelector('#list-pane .pane-scroll')?.scrollTop ?? 0
})
document.addEventListener('htmx:finally:swap', () => (swapping = false))
document.addEventListener('htmx:after:swap', (event) => {
  swapping = false
  const list = document.querySelector('#list-pane .pane-scroll')
  if (list && scrolled) list.scrollTop = scrolled
  const active = document.activeElement
  if (before && event.detail.ctx.target?.id === 'list-pane') {
    const all = rows()
    const restored = all.find((row) => !before.has(row.dataset.thread))
    const lost = !active || active === document.body || active.matches('.toast *, #list-pane .pane-scroll')
    if (lost) linkOf(restored ?? all.find((row) => row.dataset.thread === last) ?? openRow() ?? all[0])?.focus()
    if (restored) before = null
  }
  const at = next >= 0 ? next : place
  if (at >= 0 && !before && (!active || active === document.body || active.matches('#list-pane .pane-scroll'))) {
    const all = rows()
    const row = all.find((each) => each.dataset.thread === last) ?? all[Math.min(at, all.length - 1)]
    linkOf(row)?.focus({ preventScroll: true })
    next = -1
  }
  // On a narrow screen the list went out of sight, and the focus with it.
  const reading = narrow.matches && mail()?.dataset.pane === 'reading' && document.querySelector('[data-reading-scroll]')
  if (reading && (!document.activeElement || document.activeElement === document.body)) reading.focus({ preventScroll: true })
  if (narrow.matches && mail()?.dataset.pane === 'reading' && document.querySelector('#reading [data-nothing-open]')) pane('list')
  const act = pressed
  pressed = null
  act?.()
})

// ——— Back and forward: between a list and its conversations the list stays; everything else is a page.
addEventListener(
  'popstate',
  (event) => {
    const form = document.getElementById('list-form')
    if (!form) return
    event.stopImmediatePropagation()
    const here = location.pathname + location.search
    const row = rows().find((each) => linkOf(each)?.getAttribute('href') === here)
    if (row) {
      choose(row)
      if (narrow.matches) pane('reading')
      htmx.ajax('GET', here, { target: '#reading', swap: 'innerHTML', source: document.body })
    } else if (here === form.dataset.listUrl && narrow.matches) {
      pane('list')
      retitle()
    } else location.reload()
  },
  true,
)

// htmx hears of it by the Navigation API, whatever is done here, and would put the whole page in anew.
document.addEventListener('htmx:before:history:restore', (event) => document.getElementById('list-form') && event.preventDefault())

// ——— Keys.
let last = '' // the conversation whose row had the focus: while a list is put in anew, nothing has it
on('focusin', '.thread', (_event, row) => (last = row.dataset.thread))
on('focusin', '#reading, .mail-folders', () => (last = ''))
const focusedRow = () =>
  document.activeElement?.closest?.('.thread') ?? (document.activeElement === document.body ? rows().find((row) => row.dataset.thread === last) : null)
const current = () => focusedRow() ?? openRow()

function step(by) {
  const all = rows()
  if (!all.length) return
  const at = all.indexOf(current())
  const row = all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)]
  const link = linkOf(row)
  link.focus()
  row.scrollIntoView({ block: 'nearest' })
  // With a conversation open beside the list, moving reads on.
  if (!narrow.matches && document.querySelector('#reading .conversation') && 'open' in link.dataset && row !== openRow()) link.click()
}

function press(act) {
  if (swapping) return void (pressed = () => press(act))
  const row = focusedRow()
  const inReading = document.querySelector(`#reading [data-act="${act}"]`)
  if (!ticked().length && inReading && (!row || row === openRow())) return use(inReading, act)
  if (act === 'star' && row && !ticked().length) return row.querySelector('[data-row-act=star]')?.click()
  if (!ticked().length && row) row.querySelector('input[name=ids]').click()
  if (ticked().length) use(document.querySelector(`#list-form [data-bulk] [data-act="${act}"]`), act)
}

function use(button, act) {
  if (act !== 'move') return button?.click()
  const menu = button?.closest('details')
  if (!menu) return
  menu.open = true
  menu.querySelector('.menu-panel button')?.focus()
}

on('click', '[data-mail-key]', (_event, button) => {
  const key = button.dataset.mailKey
  if (key === 'next') step(1)
  else if (key === 'previous') step(-1)
  else if (key === 'open') linkOf(current())?.click()
  else if (key === 'select') current()?.querySelector('input[name=ids]')?.click()
  else if (key === 'back') document.querySelector('[data-back]')?.click()
  else press(key)
})

// ——— The page asks again: after sending and undoing, and every minute while somebody looks and does nothing here.
function refresh({ reading = false } = {}) {
  const form = document.getElementById('list-form')
  if (form) {
    const url = new URL(form.dataset.listUrl, location.href)
    if (form.elements.thread.value) url.searchParams.set('open', form.elements.thread.value)
    // In one queue with the acts: an answer from before an act must not be shown after it.
    htmx.ajax('GET', url.pathname + url.search, { target: '#list-pane', swap: 'innerHTML', source: '#list-pane' })
  }
  if (reading && document.querySelector('#reading .conversation') && /\/t\//.test(location.pathname)) {
    htmx.ajax('GET', location.pathname + location.search, { target: '#reading', swap: 'innerHTML', source: document.body })
  }
}
document.addEventListener('deft:mail-changed', () => refresh({ reading: true }))
let looked = Date.now()
function look() {
  if (document.hidden || Date.now() - looked < 55000) return
  const busy = ticked().length || document.querySelector('#list-form details[open]') || document.activeElement?.matches('#list-pane input')
  if (busy) return
  looked = Date.now()
  refresh()
}
setInterval(look, 60000)
document.addEventListener('visibilitychange', look)
