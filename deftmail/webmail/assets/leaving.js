// Ways out of the composer: links, redirects, Back. What is typed comes along into Drafts, and that is said.
import { register, toast } from '@deftmail/ui'

// A draft that is kept while its composer goes is told of, if need be on the page that comes.
const KEPT = 'dm_kept'
export const tell = ({ text, ...link }) => toast(text, { link })
export const tellThere = (kept) => sessionStorage.setItem(KEPT, JSON.stringify({ ...kept, at: Date.now() }))
register('#toasts', () => {
  const kept = JSON.parse(sessionStorage.getItem(KEPT))
  sessionStorage.removeItem(KEPT)
  if (kept && Date.now() - kept.at < 30000 && !document.querySelector('[data-composer]')) tell(kept)
})

// To who sees one pane at a time the composer is a page: Back closes it, and nothing else.
export const narrow = matchMedia('(width < 48rem)')
let stepping = false // over the entry of a composer that has closed
export const stepBack = () => {
  if (!history.state?.composer) return
  stepping = true
  history.back()
}
// The focus is where it goes when a composer closes: htmx takes each such step over, and then the browser resets it.
window.navigation?.addEventListener('navigate', (event) => stepping && event.canIntercept && event.intercept({ focusReset: 'manual', scroll: 'manual' }))
addEventListener(
  'popstate',
  async (event) => {
    const own = stepping
    stepping = false
    if (!own && !open?.fills()) return
    event.stopImmediatePropagation()
    if (!own && !(await open.close({ say: true }))) history.pushState({ composer: true }, '')
  },
  true,
)

// Nothing leads away from text that is not in Drafts yet, least of all to the sign-in page: it is saved first.
let open = null // the composer that came last: { root, fills(), unsaved(), settle(), close() }
export const opened = (composer) => (open = composer)
const unsaved = () => Boolean(open?.unsaved())
const leave = async (url) => {
  if (await open.settle()) location.assign(url)
}
document.addEventListener('htmx:after:request', (event) => {
  const to = event.detail.ctx.response.headers.get('HX-Redirect')
  if (!to || !unsaved()) return
  event.preventDefault()
  leave(to)
})
// On the window: what the page does with a click itself has been done by then.
addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]')
  if (!link || link.target || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || open?.root.contains(link) || !unsaved()) return
  event.preventDefault()
  leave(link.href)
})
