/** The look of a page, in light and in dark. */
export const style = `
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c2126; --soft: #59636e; --line: #dfe3e8; --panel: #f5f7f9;
  --weights: #b4bdc7; --state: #8c96a3; --kept: #1f6feb; --gradients: #1a7f5a; --passing: #e0912f; --fourth: #8250df; --fifth: #cf3a51; --sixth: #0e8a9a;
  --good: #12704d; --mark: #fff1bf; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161b; --ink: #e6eaef; --soft: #9aa5b1; --line: #2b323a; --panel: #1a2027;
  --weights: #46505c; --state: #6b7683; --kept: #5b9dff; --gradients: #43b98a; --passing: #eba94f; --fourth: #b38bff; --fifth: #ff7b8c; --sixth: #4fc4d4;
  --good: #5fd3a5; --mark: #4a3f12; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 72px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; margin: 0 0 10px; text-wrap: balance; }
h2 { font-size: 20px; line-height: 1.3; margin: 52px 0 6px; text-wrap: balance; }
p { margin: 0 0 12px; max-width: 75ch; }
.lead, .note { color: var(--soft); }
.note { font-size: 14px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 26px 0 0; padding: 0; }
.figures div { background: var(--panel); border-radius: 10px; padding: 12px 16px 14px; }
.figures dt { color: var(--soft); font-size: 13px; }
.figures dd { margin: 0; font-size: 23px; font-weight: 600; line-height: 1.3; font-variant-numeric: tabular-nums; }
.figures dd small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); }
figure { margin: 14px 0 0; }
figure svg { display: block; max-width: 100%; height: auto; }
.narrow { display: none; }
.key { display: flex; flex-wrap: wrap; gap: 4px 20px; list-style: none; margin: 10px 0 0; padding: 0; font-size: 14px; }
.key li { white-space: nowrap; }
.key i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }
.key b { font-weight: 600; font-variant-numeric: tabular-nums; }
.panels { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 32px; }
.panels h3 { font-size: 15px; margin: 18px 0 0; }
table { border-collapse: collapse; width: 100%; margin: 12px 0 0; font-size: 15px; }
caption { text-align: left; font-weight: 600; padding: 10px 0 4px; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 500; color: var(--soft); font-size: 13px; }
tbody th { color: var(--ink); font-size: 15px; font-weight: 600; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.bar { width: 34%; padding-right: 0; }
.bar span { display: block; height: 14px; margin-top: 4px; border-radius: 3px; background: var(--kept); min-width: 2px; }
td.bar.memory { width: 60%; }
.stack { display: flex; height: 18px; border-radius: 4px; overflow: hidden; margin-top: 3px; }
.stack span { margin: 0; height: 100%; border-radius: 0; min-width: 0; }
code, pre { font: 13px/1.5 ui-monospace, 'DejaVu Sans Mono', monospace; }
code { overflow-wrap: anywhere; }
mark { background: var(--mark); color: inherit; border-radius: 3px; padding: 1px 0; }
.best { color: var(--good); font-weight: 600; }
details { margin: 16px 0 0; }
summary { cursor: pointer; color: var(--soft); font-size: 14px; }
pre { background: var(--panel); border-radius: 10px; padding: 14px 16px; overflow-x: auto; margin: 10px 0 0; }
blockquote { margin: 0; }
footer { margin-top: 56px; padding-top: 14px; border-top: 1px solid var(--line); color: var(--soft); font-size: 13px; }
#tip { position: fixed; z-index: 1; pointer-events: none; max-width: min(340px, calc(100vw - 24px)); padding: 7px 11px; border-radius: 7px;
  background: var(--ink); color: var(--paper); font-size: 13px; line-height: 1.4; white-space: pre-line; }
@media (max-width: 720px) {
  main { padding: 26px 16px 48px; }
  h1 { font-size: 24px; }
  .wide { display: none; }
  .narrow { display: block; }
  .panels { grid-template-columns: 1fr; }
  .figures { grid-template-columns: 1fr 1fr; gap: 8px; }
  .figures div { padding: 9px 12px; }
  .figures dd { font-size: 19px; }
  .cards thead { display: none; }
  .cards tr { display: block; border-bottom: 1px solid var(--line); padding: 8px 0; }
  .cards th, .cards td, .cards td.bar { display: block; width: auto; border: 0; padding: 2px 0; text-align: left; white-space: normal; }
  .cards td[data-of]::before { content: attr(data-of) ' '; color: var(--soft); font-size: 13px; }
}
`

/** Shows what the mark under the pointer says. */
export const script = `
const tip = document.getElementById('tip')
const show = event => {
  const mark = event.target.closest && event.target.closest('[aria-roledescription$=" mark"], [data-tip]')
  const text = mark && (mark.dataset.tip || mark.getAttribute('aria-label'))
  tip.hidden = !text
  if (!text) return
  tip.textContent = text
  const { width, height } = tip.getBoundingClientRect()
  tip.style.left = Math.max(8, Math.min(event.clientX + 14, innerWidth - width - 8)) + 'px'
  tip.style.top = (event.clientY + height + 26 < innerHeight ? event.clientY + 18 : event.clientY - height - 12) + 'px'
}
for (const name of ['pointermove', 'pointerdown']) addEventListener(name, show)
document.addEventListener('pointerleave', () => { tip.hidden = true })
`
