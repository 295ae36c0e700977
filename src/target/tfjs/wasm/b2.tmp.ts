import { createWasmBackend } from './index.ts'
const rt = await createWasmBackend({ threads: Number(process.argv[2]) }); if (rt._tag === 'Left') throw new Error(rt.left.message)
const { products: mm, heap, threads } = rt.right
console.log('threads', threads)
const E = (n: number) => { const e = heap.allocate([n], 'float32'); if (e._tag === 'Left') throw 0; heap.f32(e.right).fill(0.1); return heap.offset(e.right) }
const tm = (f: () => void, reps = 3) => { f(); f(); const ts: number[] = []; for (let i = 0; i < reps; i++) { const a = performance.now(); f(); ts.push(performance.now() - a) } ts.sort((a, b) => a - b); return ts[reps >> 1]! }
const r = (name: string, M: number, K: number, N: number, o: object, reps = 15, batch = 1) => { const a = E(batch * M * K), b = E(batch * K * N), c = E(batch * M * N); const t = tm(() => batch > 1 ? mm.batchMatmul(a, b, c, batch, M, K, N, o) : mm.matmul(a, b, c, M, K, N, o), reps); console.log(name, batch > 1 ? batch + 'x' : '', M, K, N, t.toFixed(3), (2 * batch * M * K * N / t / 1e6).toFixed(1)) }
for (const T of [128, 256, 512]) for (const [K, N] of [[576, 576], [576, 192], [576, 1536], [1536, 576]] as [number, number][]) { r('x.W', T, K, N, {}); r('dy.WT', T, N, K, { transposeRight: true }); r('WT.xT', N, K, T, { transposeLeft: true }); r('xT.dy', K, T, N, { transposeLeft: true }) }
r('small', 8, 256, 1536, {}); r('small tL', 8, 256, 1536, { transposeLeft: true }); r('small', 1536, 256, 8, {}); r('small', 256, 8, 1536, {}); r('s', 8, 256, 576, {})
r('qk', 768, 64, 256, { transposeRight: true }, 15, 6); r('pv', 768, 256, 64, {}, 15, 6); r('dk', 256, 768, 64, { transposeLeft: true }, 15, 6)
r('vec', 1, 576, 1536, {}); r('vec', 1, 576, 49152, { transposeRight: true })
for (const T of [16, 64, 256]) { r('logits', T, 576, 49152, { transposeRight: true }, 3); r('dx', T, 49152, 576, {}, 3); r('E.xT', 49152, 576, T, {}, 3); r('dE', 49152, T, 576, { transposeLeft: true }, 3) }
