import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { pageNamed, pageOf, pages, root, type Page } from '../support/pages.ts'

// The pages as a reader meets them: their length, their links, and that nothing is left out of the README's list.

const width = (line: string): number => [...line].length
/** Lines wider than `columns`. */
const tooWide = (
  { name, lines }: Page,
  columns: number,
  except: (line: string, i: number) => boolean = () => false,
): readonly string[] =>
  lines.flatMap((line, i) =>
    width(line) > columns && !except(line, i) ? [`${name}:${i + 1} has ${width(line)} columns`] : [],
  )

/** The language of the block that each line lies in, its fences included; undefined for prose. */
const languagesOf = ({ lines }: Page): readonly (string | undefined)[] => {
  let language: string | undefined
  return lines.map(line => {
    if (!line.startsWith('```')) return language
    const ended = language
    language = ended === undefined ? line.slice(3) : undefined
    return ended ?? language
  })
}
const proseOf = (page: Page): readonly string[] => {
  const languages = languagesOf(page)
  return page.lines.filter((_, i) => languages[i] === undefined)
}

/** A heading's anchor, as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
const anchorsOf = (page: Page): readonly string[] =>
  proseOf(page).flatMap(line => {
    const heading = /^#+ (.*)$/.exec(line)?.[1]
    return heading === undefined ? [] : [anchorOf(heading)]
  })

/** Targets of the links in a page's prose. */
const linksOf = (page: Page): readonly string[] =>
  proseOf(page).flatMap(line => [...line.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^)]+)\)/g)].map(match => match[1]!))

/** Links of a page to missing targets: a file, or a heading of a page. */
const brokenLinks = (page: Page): readonly string[] =>
  linksOf(page)
    .filter(link => !link.startsWith('https://'))
    .filter(link => {
      const [file = '', anchor] = link.split('#')
      const name = file === '' ? page.name : path.posix.join(path.posix.dirname(page.name), file)
      if (file !== '' && !existsSync(path.join(root, name))) return true
      const linked = name === page.name ? page : pages.find(other => other.name === name)
      return anchor !== undefined && (linked === undefined || !anchorsOf(linked).includes(anchor))
    })
    .map(link => `${page.name}: ${link}`)

test('the README has at most 150 lines of at most 100 columns', () => {
  const readme = pageNamed('README.md')
  assert.ok(readme.lines.length - 1 <= 150, `${readme.lines.length - 1} lines`)
  assert.deepEqual(tooWide(readme, 100), [])
})

test('lines of the other pages have at most 120 columns, but for tables, links and JSON lines', () => {
  assert.deepEqual(
    pages
      .filter(({ name }) => name !== 'README.md')
      .flatMap(page => {
        const languages = languagesOf(page)
        return tooWide(page, 120, (line, i) => line.startsWith('|') || line.includes('](') || languages[i] === 'json')
      }),
    [],
  )
})

test('every link leads to a file or a heading that there is', () => {
  assert.deepEqual(pages.flatMap(brokenLinks), [])
})

/** Paths of the project that a page names in its prose, as src/tensor/, which are not there. */
const missingPaths = (page: Page): readonly string[] =>
  proseOf(page)
    .flatMap(line =>
      [...line.matchAll(/`((?:src|test|bench|docs|proofs|examples|\.ci)\/[\w./-]*)`/g)].map(match => match[1]!),
    )
    .filter(name => !existsSync(path.join(root, name)))
    .map(name => `${page.name}: ${name}`)

test('every path that a page names is there', () => {
  assert.deepEqual(pages.flatMap(missingPaths), [])
})

test('the README leads to every page of docs/', () => {
  const links = linksOf(pageNamed('README.md')).map(link => link.split('#')[0])
  assert.deepEqual(
    pages.map(({ name }) => name).filter(name => name !== 'README.md' && !links.includes(name)),
    [],
  )
})

const page = (...lines: readonly string[]): Page => pageOf('mutant.md', lines.join('\n'))
test('these pages are refuted: a wide line, a link or a path to what there is not', () => {
  assert.deepEqual(tooWide(page('x'.repeat(101)), 100), ['mutant.md:1 has 101 columns'])
  assert.deepEqual(tooWide(page('é'.repeat(100)), 100), [])
  assert.deepEqual(brokenLinks(page('[a](docs/none.md)', '[b](README.md)', '`[c](none.md)`')), [
    'mutant.md: docs/none.md',
  ])
  assert.deepEqual(
    brokenLinks(
      page('# One thing', '[a](#one-thing)', '[b](#another)', '[c](README.md#none)', '[d](README.md#install)'),
    ),
    ['mutant.md: #another', 'mutant.md: README.md#none'],
  )
  assert.deepEqual(missingPaths(page('`src/tensor/`, `src/nowhere/`, `words/`')), ['mutant.md: src/nowhere/'])
  assert.equal(anchorOf('Four-bit bases'), 'four-bit-bases')
  assert.equal(anchorOf("Selecting PaCA's columns"), 'selecting-pacas-columns')
})
