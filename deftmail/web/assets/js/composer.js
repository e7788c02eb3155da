// The composer's editor: Squire, with our own cleaning of everything that enters it. The server cleans again before sending.
import DOMPurify from 'dompurify'
import Squire from 'squire-rte'

const CLEAN = {
  ALLOW_UNKNOWN_PROTOCOLS: false,
  ALLOWED_URI_REGEXP: /^(?:https?|mailto|tel|cid):|^\/(?![/\\])/i,
  // That is asked of every attribute's value, but not of these: they say how mail looks and hold no address.
  ADD_URI_SAFE_ATTR: [
    ...'abbr align bgcolor border cellpadding cellspacing clear color colspan data-dm-style datetime dir'.split(' '),
    ...'face headers height hspace lang noshade nowrap open reversed rowspan scope size span start type'.split(' '),
    ...'valign vspace width'.split(' '),
  ],
  FORBID_TAGS: ['style', 'form', 'input', 'button', 'textarea', 'select', 'iframe', 'object', 'embed', 'audio', 'video', 'svg', 'math'],
  FORBID_ATTR: ['class', 'id', 'name', 'srcset', 'background', 'autofocus', 'contenteditable', 'popover', 'popovertarget', 'slot'],
  ALLOW_DATA_ATTR: false,
  ADD_ATTR: ['data-cid', 'data-remote-src', 'data-dm-style'],
  ADD_DATA_URI_TAGS: [],
  RETURN_DOM_FRAGMENT: true,
}

/** Hold remote images back: they would load the moment the reader answers, and tell the sender so. */
function holdBack(fragment) {
  for (const image of fragment.querySelectorAll('img')) {
    const source = image.getAttribute('src') ?? ''
    if (!/^https?:/i.test(source)) continue
    image.setAttribute('data-remote-src', source)
    image.removeAttribute('src')
  }
}

// What Squire unwraps, or writes a style in markup for, comes to it as what it leaves alone, with the same look.
const SIZES = ['x-small', 'small', 'medium', 'large', 'x-large', 'xx-large', 'xxx-large']
const INSTEAD = {
  STRONG: ['b'],
  EM: ['i'],
  INS: ['u'],
  STRIKE: ['s'],
  MAIN: ['div'],
  NAV: ['div'],
  CENTER: ['div', (to) => to.setAttribute('align', 'center')],
  TT: ['span', ({ style }) => (style.fontFamily = 'monospace')],
  BIG: ['span', ({ style }) => (style.fontSize = 'larger')],
  MARK: ['span', ({ style }) => Object.assign(style, { backgroundColor: 'yellow', color: 'black' })],
  FONT: [
    'span',
    (to, { color, face, size }) => {
      const { style } = to
      for (const name of ['color', 'face', 'size']) to.removeAttribute(name)
      style.color = color
      style.color ||= `#${color}`
      style.fontFamily = face
      const step = /^[+-]/.test(size) ? 3 + Number(size) : Number(size)
      if (step) style.fontSize = SIZES[Math.min(Math.max(Math.trunc(step), 1), 7) - 1]
    },
  ],
}
function replaceBy(element, [name, dress]) {
  const to = document.createElement(name)
  for (const each of element.attributes) to.setAttribute(each.name, each.value)
  dress?.(to, element)
  to.append(...element.childNodes)
  element.replaceWith(to)
}

// An inline element around blocks is unwrapped too, a link's address and all: it goes into each of them instead.
const INLINE = 'a, abbr, b, bdi, bdo, cite, code, del, dfn, i, kbd, q, s, samp, small, sub, sup, time, u, var'
const BLOCKS = [
  'address, article, aside, blockquote, dd, div, dl, dt, figcaption, figure, footer, h1, h2, h3, h4, h5, h6',
  'header, li, ol, p, pre, section, table, ul',
].join()
const PARTS = 'caption, tbody, td, tfoot, th, thead, tr'
function pushInto(element, inline) {
  let run = null
  for (const child of [...element.childNodes]) {
    if (child.matches?.(`${BLOCKS}, ${PARTS}`) || child.querySelector?.(BLOCKS)) {
      run = null
      pushInto(child, inline)
    } else if (run || child.textContent.trim() || child.matches?.('img') || child.querySelector?.('img')) {
      if (!run) child.before((run = inline.cloneNode()))
      run.append(child)
    }
  }
}

// A style attribute in markup is refused by the page's policy, one set by script is not. The server therefore writes
// data-dm-style; what is pasted has style. What could cover the page or load something is dropped.
const DANGEROUS = /^(?:position|z-index|animation|--)|url\(|image-set|expression/i
function importStyled(fragment) {
  const styles = []
  for (const element of fragment.querySelectorAll('[style], [data-dm-style]')) {
    styles.push(element.getAttribute('data-dm-style') ?? element.getAttribute('style'))
    element.removeAttribute('style')
    element.removeAttribute('data-dm-style')
    element.setAttribute('data-had-style', styles.length - 1)
  }
  const copy = document.importNode(fragment, true)
  const strange = copy.querySelectorAll(Object.keys(INSTEAD).join())
  for (const element of strange) replaceBy(element, INSTEAD[element.nodeName])
  for (const element of copy.querySelectorAll(INLINE)) {
    if (!element.querySelector(BLOCKS)) continue
    pushInto(element, element)
    element.replaceWith(...element.childNodes)
  }
  for (const element of copy.querySelectorAll('[data-had-style]')) {
    const { style } = element
    style.cssText += `;${styles[element.dataset.hadStyle]}`
    element.removeAttribute('data-had-style')
    for (const name of [...style]) {
      if (DANGEROUS.test(name) || DANGEROUS.test(style.getPropertyValue(name))) style.removeProperty(name)
    }
  }
  return copy
}

/**
 * An editor in `root` (a <div>). onChange(editor) after each edit; onFiles(files) for dropped and pasted files;
 * blockRemote (default true) keeps remote images of quoted mail from loading.
 * Returns {squire, html(), set(html), insert(html), text(), focus(), destroy()}.
 */
export function createEditor(root, { onChange = () => {}, onFiles = () => {}, blockRemote = true, label = '' } = {}) {
  const sanitize = (html) => {
    // Parsed in a document of its own, so that nothing loads before it is held back.
    const clean = DOMPurify.sanitize(html, CLEAN)
    if (blockRemote) holdBack(clean)
    return importStyled(clean)
  }
  const squire = new Squire(root, { blockTag: 'DIV', sanitizeToDOMFragment: sanitize, didError: (error) => console.warn(error) })
  root.setAttribute('role', 'textbox')
  root.setAttribute('aria-multiline', 'true')
  if (label) root.setAttribute('aria-label', label)
  // What Undo puts back is as styled as it was; Squire would put it in as markup.
  squire._getRawHTML = () => {
    const holder = root.cloneNode(true)
    for (const element of holder.querySelectorAll('[style]')) {
      element.setAttribute('data-dm-style', element.getAttribute('style'))
      element.removeAttribute('style')
    }
    return holder.innerHTML
  }
  squire._setRawHTML = (html) => {
    root.replaceChildren(...importStyled(new DOMParser().parseFromString(html, 'text/html').body).childNodes)
    squire._ignoreChange = true
    return squire
  }
  squire.addEventListener('input', () => onChange(editor))
  squire.addEventListener('pasteImage', (event) => onFiles([...(event.detail?.clipboardData?.files ?? [])]))
  // Squire does not clean what is dropped: take the drop over, and put it in as if it were pasted.
  root.addEventListener(
    'drop',
    (event) => {
      const { files } = event.dataTransfer
      const html = event.dataTransfer.getData('text/html')
      const text = event.dataTransfer.getData('text/plain')
      event.preventDefault()
      event.stopImmediatePropagation()
      if (files.length) onFiles([...files])
      else if (html) squire.insertHTML(html, true)
      else if (text) squire.insertPlainText(text, true)
    },
    true,
  )
  const editor = {
    squire,
    /** What will be sent: remote images get their address back. */
    html() {
      const holder = root.cloneNode(true)
      for (const image of holder.querySelectorAll('img[data-remote-src]')) {
        image.setAttribute('src', image.getAttribute('data-remote-src'))
        image.removeAttribute('data-remote-src')
      }
      // Squire ends what has no words with a line break: under a picture, and in a cell that keeps space, it shows.
      for (const end of holder.querySelectorAll('br:last-child')) {
        const { parentNode: block } = end
        if (!/[^ \t\r\n]/.test(block.textContent) && (block.matches('td, th') || block.querySelector('img'))) end.remove()
      }
      return holder.innerHTML.replaceAll('\u200B', '')
    },
    set(html) {
      squire.setHTML(html)
    },
    insert(html) {
      squire.insertHTML(html)
    },
    text: () => root.innerText,
    focus: () => squire.focus(),
    destroy: () => squire.destroy(),
  }
  return editor
}
