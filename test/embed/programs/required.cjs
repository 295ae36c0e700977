// A program of CommonJS.
const partensor = require('partensor')
const { lineOf } = require('./line.mjs')

Promise.all(['wasm', 'cpu', 'reference'].map(target => lineOf(partensor, 5, target))).then(lines => {
  console.log(JSON.stringify(lines))
})
