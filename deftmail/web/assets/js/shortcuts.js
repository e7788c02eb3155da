// Keyboard shortcuts: [data-keys="g d"] presses that element; "?" lists them; a switch turns single keys off (WCAG 2.1.4).
import { tinykeys } from 'tinykeys'
import { cookie, register, setCookie } from './ui.js'

const enabled = () => cookie('dm_shortcuts') !== 'off'
const typing = (event) =>
  event.isComposing ||
  event.ctrlKey ||
  event.metaKey ||
  event.altKey ||
  event.target.closest?.('input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]:not([contenteditable=false]), iframe')

/** Run `act` on a key sequence unless the reader types, a dialog is open, or shortcuts are off. Returns the way to unbind. */
export function shortcut(keys, act, { always = false } = {}) {
  return tinykeys(window, {
    [keys]: (event) => {
      if (typing(event) || event.defaultPrevented || (!always && !enabled())) return
      if (document.querySelector('dialog[open]') && !always) return
      event.preventDefault()
      act(event)
    },
  })
}

const bound = new Map() // keys → how to unbind, so that a swapped-in element replaces the old binding

register('[data-keys]', (element) => {
  const { keys } = element.dataset
  bound.get(keys)?.()
  bound.set(
    keys,
    shortcut(keys, () => {
      const current = element.isConnected ? element : document.querySelector(`[data-keys="${CSS.escape(keys)}"]`)
      if (!current) return
      if (current.matches('input, textarea, select')) current.focus()
      else current.click()
    }),
  )
})

function row(keys, label) {
  const line = document.createElement('div')
  line.className = 'flex items-center justify-between gap-4 py-1'
  const name = document.createElement('span')
  name.textContent = label
  const combo = document.createElement('span')
  combo.className = 'flex gap-1'
  for (const key of keys.split(' ')) {
    const cap = document.createElement('kbd')
    cap.textContent = key.replace('Shift+', '⇧ ')
    combo.append(cap)
  }
  line.append(name, combo)
  return line
}

function help() {
  const dialog = document.getElementById('shortcuts')
  if (!dialog || dialog.open) return
  const seen = new Set()
  const rows = []
  for (const element of document.querySelectorAll('[data-keys][data-keys-label]')) {
    const { keys, keysLabel } = element.dataset
    if (seen.has(keys)) continue
    seen.add(keys)
    rows.push(row(keys, keysLabel))
  }
  dialog.querySelector('[data-shortcut-list]').replaceChildren(...rows)
  dialog.showModal()
}

// "?" itself stays on: it is how the switch is found. Twice, because some layouts type it without Shift.
shortcut('Shift+?', help, { always: true })
shortcut('?', help, { always: true })
register('[data-shortcut-help]', (button) => button.addEventListener('click', help))
register('[data-shortcut-switch]', (box) => {
  box.checked = enabled()
  box.addEventListener('change', () => setCookie('dm_shortcuts', box.checked ? 'on' : 'off'))
})
