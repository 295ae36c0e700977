import { existsSync } from 'node:fs'
import { after } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'puppeteer-core'

/** Places where a Chromium is installed, Debian's first. */
const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const found = places.find(place => existsSync(place))

/** The reason why tests of pages in a browser are left out, or false. */
export const noBrowser: string | false = found === undefined ? 'there is no chromium on this machine' : false

let opened: Promise<Browser> | undefined
const browser = (): Promise<Browser> =>
  (opened ??= (async () => {
    const { default: puppeteer } = await import('puppeteer-core')
    return puppeteer.launch({ executablePath: found!, headless: true, args: ['--no-sandbox'] })
  })())
after(async () => (await opened)?.close())

/** The circumstances in which a page is looked at. */
export interface Look {
  readonly width: number
  readonly scheme: 'light' | 'dark'
}

/** Everything that a browser complained about while a page was open: errors, warnings, requests to other places. */
export const openPage = async (
  file: string,
  { width, scheme }: Look,
): Promise<{ readonly page: Page; readonly complaints: readonly string[] }> => {
  const page = await (await browser()).newPage()
  const complaints: string[] = []
  page.on('console', message => complaints.push(message.text()))
  page.on('pageerror', error => complaints.push(String(error)))
  const { href } = pathToFileURL(file)
  page.on('request', request => {
    if (request.url() !== href) complaints.push(`a request of ${request.url()}`)
  })
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
  await page.setViewport({ width, height: 900 })
  await page.goto(href)
  return { page, complaints }
}

/** A script for the browser, as a text: these types know no document. */
const overlapScript = `(() => {
  for (const folded of document.querySelectorAll('details')) folded.open = true
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const boxes = []
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const text = node.textContent.trim()
    if (text === '' || node.parentElement.closest('script, style, [hidden]') !== null) continue
    const range = document.createRange()
    range.selectNodeContents(node)
    for (const { left, right, top, bottom } of range.getClientRects())
      if (right > left && bottom > top) boxes.push({ text: text.slice(0, 40), left, right, top, bottom })
  }
  // boxes of letters are higher than the letters
  const slack = 4
  const lieOver = (a, b) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > slack
  return boxes.flatMap((a, i) =>
    boxes.slice(i + 1).filter(b => lieOver(a, b)).map(b => a.text + ' | ' + b.text))
})()`

/** Pairs of texts that lie over each other, as a browser has laid them out, with everything unfolded. */
export const overlaps = async (page: Page): Promise<readonly string[]> =>
  // the script's own result
  (await page.evaluate(overlapScript)) as readonly string[]

/** The pixels by which a page is wider than its window. */
export const widerBy = async (page: Page): Promise<number> =>
  Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'))

/** The text that appears when the pointer is in the middle of an element, which is scrolled into view. */
export const hoverText = async (page: Page, selector: string): Promise<string> => {
  const element = await page.waitForSelector(selector)
  await element!.scrollIntoView()
  await element!.hover()
  return page.$eval('#tip', tip => (tip.hasAttribute('hidden') ? '' : (tip.textContent ?? '')))
}
