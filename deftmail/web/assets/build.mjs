// Builds deftmail/web/static/dist/: app.css, app.js, composer.js, every room's own entry, and the icons.
// Sources: deftmail/web/assets/ and deftmail/<room>/assets/*.css, *.entry.js. Needs only what package-lock.json pins.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as esbuild from 'esbuild'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
const assets = join(root, 'deftmail/web/assets')
const dist = join(root, 'deftmail/web/static/dist')
const watch = process.argv.includes('--watch')
process.chdir(root)
mkdirSync(dist, { recursive: true })

/** Files of every room's assets folder whose names end in `ending`; the web room's own sources excepted. */
function roomFiles(ending) {
  const rooms = readdirSync(join(root, 'deftmail'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return rooms.flatMap(({ name }) => {
    const folder = join(root, 'deftmail', name, 'assets')
    return existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(ending)).map((file) => join(folder, file)) : []
  })
}

/** The icons as {name: inner SVG}: the server writes them inline, so a page costs no request for them. */
function icons() {
  const folder = join(root, 'node_modules/lucide-static/icons')
  const all = {}
  for (const file of readdirSync(folder).sort()) {
    const svg = readFileSync(join(folder, file), 'utf8')
    all[basename(file, '.svg')] = svg.slice(svg.indexOf('>', svg.indexOf('<svg')) + 1, svg.lastIndexOf('</svg>')).replace(/\s+/g, ' ').trim()
  }
  writeFileSync(join(dist, 'icons.json'), JSON.stringify(all))
}

function styles() {
  const entry = readFileSync(join(assets, 'css/app.css'), 'utf8')
  const rooms = roomFiles('.css').map((file) => `@import "./${relative(root, file)}";`)
  const cli = join(root, 'node_modules/@tailwindcss/cli/dist/index.mjs')
  const args = [cli, '-i', '-', '-o', join(dist, 'app.css'), ...(watch ? ['--watch=always'] : ['--minify'])]
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['pipe', 'inherit', 'pipe'] })
    let said = ''
    child.stderr.on('data', (data) => (watch ? process.stderr.write(data) : (said += data)))
    child.on('exit', (code) => (code ? fail(new Error(said || `tailwindcss exited with ${code}`)) : done()))
    child.stdin.end(entry.replace('/* rooms */', rooms.join('\n')))
  })
}

const scripts = {
  entryPoints: [
    { in: join(assets, 'js/app.js'), out: 'app' },
    { in: join(assets, 'js/composer.js'), out: 'composer' },
    ...roomFiles('.entry.js').map((file) => ({ in: file, out: basename(file, '.entry.js') })),
  ],
  outdir: dist,
  bundle: true,
  splitting: true, // what entries share (htmx, the ui module, the composer) is loaded once
  chunkNames: 'chunk-[hash]',
  format: 'esm',
  target: ['es2022'],
  minify: !watch,
  legalComments: 'none',
  alias: { '@deftmail/ui': join(assets, 'js/ui.js'), '@deftmail/composer': join(assets, 'js/composer.js') },
  nodePaths: [join(root, 'node_modules')],
  logLevel: 'warning',
}

/** Content hashes, which the server puts into the addresses: a file may be cached for ever and is never stale. */
function versions() {
  const files = readdirSync(dist).filter((file) => /\.(css|js)$/.test(file))
  const hash = (file) => createHash('sha256').update(readFileSync(join(dist, file))).digest('hex').slice(0, 12)
  writeFileSync(join(dist, 'assets.json'), JSON.stringify(Object.fromEntries(files.map((file) => [file, hash(file)]))))
}

for (const file of readdirSync(dist)) if (file.startsWith('chunk-')) unlinkSync(join(dist, file))
icons()
if (watch) {
  const context = await esbuild.context(scripts)
  if (existsSync(join(dist, 'assets.json'))) unlinkSync(join(dist, 'assets.json'))
  await Promise.all([context.watch(), styles()])
} else {
  await Promise.all([esbuild.build(scripts), styles()])
  versions()
}
