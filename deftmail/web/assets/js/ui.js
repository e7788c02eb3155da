// What rooms may import as "@deftmail/ui": enhancement of elements, announcements, toasts.
import htmx from './htmx.js'

const registry = []

/** Run `start(element)` once for every element that matches, now and after each swap. */
export function register(selector, start) {
  registry.push([selector, start, new WeakSet()])
  if (document.readyState !== 'loading') enhance(document)
}

/** Enhance what `root` holds. Called for the page and for each piece a swap brings. */
export function enhance(root) {
  for (const [selector, start, seen] of registry) {
    const found = [...root.querySelectorAll(selector)]
    if (root.matches?.(selector)) found.unshift(root)
    for (const element of found) {
      if (seen.has(element)) continue
      seen.add(element)
      start(element)
    }
  }
}

/** One listener on the document for all elements that match `selector`, also those that come later. */
export function on(type, selector, handle) {
  document.addEventListener(type, (event) => {
    const element = event.target.closest?.(selector)
    if (element) handle(event, element)
  })
}

/** Say `text` through the live region. The pause lets a screen reader notice the same text said twice. */
export function announce(text) {
  const region = document.getElementById('live')
  if (!region || !text) return
  region.textContent = ''
  setTimeout(() => (region.textContent = text), 60)
}

/** A word of the interface in the reader's language: base.html keeps them on <body data-say-…>. */
export const say = (key) => document.body.dataset[`say${key[0].toUpperCase()}${key.slice(1)}`] || key

/**
 * Show a toast. `undo`: address that takes a POST to undo. `link`: { href, label }. kind: info, success, warning, error.
 * `about`: see tidyToasts.
 */
export function toast(text, { undo = '', link = null, kind = 'info', about = null } = {}) {
  const region = document.getElementById('toasts')
  const template = document.getElementById(`toast-${undo ? 'undo' : link ? 'link' : 'plain'}`)
  if (!region || !template) return
  const element = template.content.firstElementChild.cloneNode(true)
  element.dataset.kind = kind
  element.about = about
  if (kind === 'error') element.setAttribute('role', 'alert')
  element.querySelector('p').textContent = text
  const form = element.querySelector('form')
  if (form) form.action = undo
  if (link) Object.assign(element.querySelector('a'), { href: link.href, textContent: link.label })
  region.append(element)
  enhance(element)
}

/** Put away what was said about an element that is gone. */
export function tidyToasts() {
  for (const element of document.querySelectorAll('.toast')) if (element.about && !element.about.isConnected) element.remove()
}

/** The value of a cookie, or "". */
export const cookie = (name) => document.cookie.split('; ').find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1) ?? ''

/** Keep a preference for a year. */
export function setCookie(name, value) {
  const secure = location.protocol === 'https:' ? '; Secure' : ''
  document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`
}

export { htmx }
