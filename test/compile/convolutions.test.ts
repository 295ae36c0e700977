import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain, explanationText, print, programsOf, sizing } from '../../src/compile/index.ts'
import {
  adapt,
  add,
  crossEntropy,
  f32,
  i32,
  matmul,
  model,
  nn,
  paca,
  relu,
  repeat,
  sgd,
  trainStep,
} from '../../src/index.ts'

const plain = model({
  params: {
    stem: nn.Conv2d('c', 'd', { size: 3, bias: false }),
    spatial: nn.DepthwiseConv2d('d', { size: 3, bias: false }),
    head: f32('d', 'classes'),
  },
  batch: { x: f32('batch', 'h', 'w', 'c'), y: i32('batch') },
  forward: (p, { x }) => {
    const h = relu(nn.conv2d(x, p.stem, { padding: 'same' }))
    const halved = { stride: 2, padding: 'same', as: ['h2', 'w2'] } as const
    return matmul(nn.globalAveragePool(relu(nn.depthwiseConv2d(h, p.spatial, halved))), p.head)
  },
  loss: (logits, { y }) => crossEntropy(logits, y),
})
const size = sizing({ batch: 4, h: 8, w: 8, c: 4, d: 6, h2: 4, w2: 4, classes: 4 })

test('the backward pass of PaCA for convolutions is the filter gradient of the taken channels', () => {
  const tuned = adapt(plain, paca({ targets: ['stem', 'spatial'], rank: 2, seed: 0 }))
  const programs = programsOf(trainStep(tuned, sgd({ lr: 0.1 })), {
    layOut: false,
    runs: () => true,
    inPlace: new Map(),
  })
  assert.equal(
    print(programs.gradients(size).outputs, programs.names),
    `\
  %0: [] = parameter()
  %1: [batch, h, w, d] = conv(x, stem.weight) {"dims":["h","w"],"stride":[1,1],"padding":["same","same"],"depthwise":false}
  %2: [batch, h, w, d] = maximum(%0, %1)
  %3: [batch, h2, w2, d] = conv(%2, spatial.weight) {"dims":["h2","w2"],"stride":[2,2],"padding":["same","same"],"depthwise":true}
  %4: [batch, h2, w2, d] = maximum(%0, %3)
  %5: [batch, d] = sum(%4) {"axes":[1,2],"keepDims":false}
  %6: [] = parameter()
  %7: [batch, d] = div(%5, %6)
  %8: [batch, classes] = contract(%7, head) {"a":"ay","b":"yz","out":"az"}
  %9: [batch] = crossEntropy(%8, y)
  %10: [] = sum(%9) {"axes":[0],"keepDims":false}
  %11: [] = parameter()
  %12: [batch, h, w, 2] = take(x, columns(stem)) {"axis":3}
  %13: [batch, h, w, d] bool = equal(%2, %0)
  %14: [batch, h2, w2, d] bool = equal(%4, %0)
  %15: [batch] = parameter()
  %16: [batch, classes] = crossEntropyGrad(%8, y, %15)
  %17: [batch, d] = contract(%16, head) {"a":"az","b":"yz","out":"ay"}
  %18: [batch, d] = div(%17, %6)
  %19: [batch, 1, 1, d] = reshape(%18)
  %20: [batch, h2, w2, d] = broadcastTo(%19)
  %21: [batch, h2, w2, d] = select(%14, %0, %20)
  %22: [batch, h, w, d] = convInput(%21, spatial.weight) {"dims":["h","w"],"stride":[2,2],"padding":["same","same"],"depthwise":true}
  %23: [batch, h, w, d] = select(%13, %0, %22)
  %24: [3, 3, 2, d] = convFilter(%12, %23) {"dims":[3,3],"stride":[1,1],"padding":["same","same"],"depthwise":false}
  %25: [batch, h, w, 2] = take(%2, columns(spatial)) {"axis":3}
  %26: [batch, h2, w2, 2] = take(%21, columns(spatial)) {"axis":3}
  %27: [3, 3, 2] = convFilter(%25, %26) {"dims":[3,3],"stride":[2,2],"padding":["same","same"],"depthwise":true}
  return %10, %11, %24, %27`,
  )
})

const channels = 32
const block = () => ({
  plain: nn.Conv2d(32, 32, { size: 3 }),
  spatial: nn.DepthwiseConv2d(32, { size: 3 }),
  point: nn.Conv2d(32, 32, { size: 1 }),
  dilated: nn.Conv2d(32, 32, { size: 3 }),
  grouped: nn.Conv2d(8, 32, { size: 3 }),
})
const targets = ['plain', 'spatial', 'point', 'dilated', 'grouped'] as const
const deep = model({
  params: { layers: [block(), block(), block()], head: nn.Linear(32, 'classes') },
  batch: { x: f32('batch', 16, 16, 32), y: i32('batch') },
  dims: { classes: 4 },
  forward: (p, b) => {
    const y = repeat(p.layers, b.x, (x, q) => {
      const h = relu(nn.conv2d(x, q.plain, { padding: 'same' }))
      const s = relu(nn.depthwiseConv2d(h, q.spatial, { padding: 'same' }))
      const d = relu(nn.conv2d(relu(nn.conv2d(s, q.point)), q.dilated, { padding: 'same', dilation: 2 }))
      return add(x, nn.conv2d(d, q.grouped, { padding: 'same', groups: 4 }))
    })
    return nn.linear(nn.globalAveragePool(y), p.head)
  },
  loss: (logits, b) => crossEntropy(logits, b.y),
})
const batch = 4
const pixels = batch * 16 * 16
const explained = (rank: number, without: readonly string[] = []) =>
  explain(trainStep(adapt(deep, paca({ targets, rank, seed: 0 })), sgd({ lr: 0.1 })), {
    dims: { batch },
    recompute: 'cheap',
    without,
  })

test('explain says of every convolution that channels of x are kept and x is not, nor its windows', () => {
  const { layers } = explained(2)
  for (const { kept } of layers) {
    const taken = kept.flatMap(({ columnsOf, shape }) =>
      columnsOf === undefined ? [] : [[columnsOf.replace(/.*\./, ''), shape.join()] as const],
    )
    assert.deepEqual(Object.fromEntries(taken), {
      plain: 'batch,16,16,2',
      spatial: 'batch,16,16,2',
      point: 'batch,16,16,2',
      dilated: 'batch,16,16,2',
      grouped: 'batch,16,16,4,2',
    })
    // besides, only the signs for relu
    assert.ok(kept.every(({ columnsOf, what }) => columnsOf !== undefined || what.startsWith('equal(')))
  }
  for (const target of targets)
    assert.match(
      explanationText(explained(2)),
      new RegExp(`x\\[:, columns\\] of layers\\.\\S*${target}; x is not kept`),
    )
})

test('what PaCA keeps of a convolution grows by a channel of its input for each rank, of a grouped one by a channel of each group', () => {
  assert.equal(explained(3).saved - explained(2).saved, 3 * 4 * pixels * (4 + 4))
})

test('without the rules for composites and windows, whole inputs are kept, or windows of channels', () => {
  const on = explained(2).saved
  // x of the plain convolution, and of the depthwise one, from which the signs for its relu, a byte each, are known
  assert.equal(explained(2, ['take-composite']).saved - on, 3 * pixels * (4 * 2 * (channels - 2) - channels))
  // the windows of nine places of channels, instead of the channels
  assert.equal(explained(2, ['take-windows']).saved - on, 3 * 4 * pixels * 8 * (2 + 4 * 2))
})
