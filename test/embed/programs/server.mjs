// A server that trains in its handler, and one session that answers several requests at once.
import { createServer } from 'node:http'
import * as partensor from 'partensor'
import { lineOf } from './line.mjs'

const { compile, f32, model, nn, tensor } = partensor
const double = model({
  params: nn.Linear('features', 1, { bias: false }),
  batch: { x: f32('batch', 'features') },
  forward: (p, b) => nn.linear(b.x, p),
})
const weights = { weight: tensor([[2], [3]], ['features', 1]) }
const shared = await compile(double, { target: 'wasm', weights })

const answer = async ({ slope, target, rows }) =>
  rows === undefined
    ? lineOf(partensor, slope, target)
    : [...(await shared.predict({ x: tensor(rows, ['batch', 'features']) })).data]
const server = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  try {
    response.end(JSON.stringify(await answer(JSON.parse(text))))
  } catch (error) {
    response.writeHead(400).end(JSON.stringify(error.message))
  }
})
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
const ask = async body => {
  const response = await fetch(`http://127.0.0.1:${server.address().port}`, {
    method: 'POST',
    body: JSON.stringify(body),
  })
  return { status: response.status, is: await response.json() }
}

const lines = [1, -3, 5].flatMap(slope => ['wasm', 'cpu'].map(target => ({ slope, target })))
const alone = []
for (const line of lines) alone.push(await ask(line))
const together = await Promise.all(lines.map(ask))
// wrong requests between right ones: rows of two lengths, a dim of another size, a target that there is not
const requests = [
  { rows: [[1, 2]] },
  { rows: [[1], [2, 3]] },
  {
    rows: [
      [3, 4],
      [5, 6],
    ],
  },
  { rows: [[1, 2, 3]] },
  { slope: 1, target: 'abacus' },
  { rows: [[0, 1]] },
]
const answers = await Promise.all(requests.map(ask))
server.close()
await shared[Symbol.asyncDispose]()
console.log(JSON.stringify({ alone, together, answers }))
