import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { costsOf, type Cost } from '../support/cost.ts'

// What a program costs the type checker, as the number of types that it instantiates: this is what makes an editor
// slow, and it is the same on every machine.

const folder = new URL('../../examples/', import.meta.url)
const examples = readdirSync(folder).filter(name => name.endsWith('.ts'))

/** A transformer written out layer by layer, of ops alone; `of` names the dims that a layer may have for itself. */
const ofOps = (layers: number, of: (dim: string, layer: number) => string): string =>
  [
    `import { add, f32, matmul, mul, relu, reshape, rmsNorm, rsqrt, size, softmax, transpose } from '../src/index.ts'`,
    `const x0 = f32('batch', 'seq', 'hidden')`,
    ...Array.from({ length: layers }, (_, i) => {
      const [heads, width, ffn] = ['heads', 'width', 'ffn'].map(dim => of(dim, i))
      const projected = (w: string, order: string): string =>
        `transpose(reshape(matmul(n${i}, ${w}${i}), ['batch', 'seq', '${heads}', '${width}']), [${order}])`
      return `
        const q${i} = f32('hidden', '${heads}*${width}'), k${i} = f32('hidden', '${heads}*${width}')
        const v${i} = f32('hidden', '${heads}*${width}'), o${i} = f32('${heads}*${width}', 'hidden')
        const up${i} = f32('hidden', '${ffn}'), down${i} = f32('${ffn}', 'hidden')
        const gain${i} = f32('hidden'), bias${i} = f32('${ffn}')
        const n${i} = rmsNorm(x${i}, gain${i}, 1e-5)
        const scores${i} = mul(matmul(${projected('q', '0, 2, 1, 3')}, ${projected('k', '0, 2, 3, 1')}), rsqrt(size('${width}')))
        const mixed${i} = transpose(matmul(softmax(scores${i}), ${projected('v', '0, 2, 1, 3')}), [0, 2, 1, 3])
        const y${i} = add(x${i}, matmul(reshape(mixed${i}, ['batch', 'seq', '${heads}*${width}']), o${i}))
        const inner${i} = relu(add(matmul(rmsNorm(y${i}, gain${i}, 1e-5), up${i}), bias${i}))
        const x${i + 1} = add(y${i}, matmul(inner${i}, down${i}))`
    }),
    'export {}',
  ].join('\n')
/** The same of layers. */
const ofLayers = (layers: number, of: (dim: string, layer: number) => string): string =>
  [
    `import { add, f32, gelu, nn } from '../src/index.ts'`,
    `const x0 = f32('batch', 'seq', 'hidden')`,
    ...Array.from({ length: layers }, (_, i) => {
      const [heads, width, ffn] = ['heads', 'width', 'ffn'].map(dim => of(dim, i))
      return `
        const heads${i} = { heads: '${heads}', headDim: '${width}' } as const
        const norm${i} = nn.LayerNorm('hidden'), attend${i} = nn.MultiHeadAttention('hidden', heads${i})
        const mlp${i} = nn.Mlp('hidden', '${ffn}', 'hidden')
        const options${i} = { ...heads${i}, causal: true } as const
        const y${i} = add(x${i}, nn.multiHeadAttention(nn.layerNorm(x${i}, norm${i}), attend${i}, options${i}))
        const x${i + 1} = add(y${i}, nn.mlp(nn.layerNorm(y${i}, norm${i}), mlp${i}, gelu))`
    }),
    'export {}',
  ].join('\n')
const same = (dim: string): string => dim
const own = (dim: string, layer: number): string => `${dim}${layer}`
const deep = {
  '24 layers of the same dims, of ops': { source: ofOps(24, same), most: 10_000 },
  '24 layers of the same dims, of layers': { source: ofLayers(24, same), most: 10_000 },
  '24 layers of dims of their own, of ops': { source: ofOps(24, own), most: 70_000 },
  '24 layers of dims of their own, of layers': { source: ofLayers(24, own), most: 70_000 },
}

const fileOf = (name: string): string => `${name.replaceAll(/\W+/g, '-')}.ts`
let costs: Readonly<Record<string, Cost>> = {}
before(async () => {
  costs = await costsOf({
    ...Object.fromEntries(examples.map(name => [name, readFileSync(new URL(name, folder), 'utf8')])),
    ...Object.fromEntries(Object.entries(deep).map(([name, { source }]) => [fileOf(name), source])),
    'import.ts': `import { f32, matmul } from '../src/index.ts'\nexport {}`,
    'wrong.ts': `import { f32, matmul } from '../src/index.ts'\nmatmul(f32('a', 'b'), f32('c', 'd'))`,
  })
})

test('an import alone costs nothing, and the errors of a program are found', () => {
  assert.deepEqual(costs['import.ts'], { errors: [], instantiations: 0 })
  assert.match(costs['wrong.ts']!.errors.join(), /matmul: inner dims b and c differ/)
  assert.ok(costs['wrong.ts']!.instantiations > 0)
})

test('an example costs at most 10,000 instantiations above its import', () => {
  assert.ok(examples.length > 10)
  const over = examples.map(name => ({ name, ...costs[name]! })).filter(x => x.instantiations > 10_000)
  assert.deepEqual(over, [])
  assert.deepEqual(examples.map(name => costs[name]!.errors).flat(), [])
})

for (const [name, { most }] of Object.entries(deep)) {
  test(`${name}, cost at most ${most.toLocaleString('en')} instantiations`, () => {
    const { errors, instantiations } = costs[fileOf(name)]!
    assert.deepEqual(errors, [])
    assert.ok(instantiations <= most, `${instantiations} instantiations`)
  })
}
