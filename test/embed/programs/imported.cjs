// A program of CommonJS that imports the package when it runs, for a Node that cannot require modules.
const main = async () => {
  const { lineOf } = await import('./line.mjs')
  console.log(JSON.stringify(await lineOf(await import('partensor'), 5, 'wasm')))
}
main()
