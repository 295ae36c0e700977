import { createWasmBackend } from './index.ts'
let bad = 0, jobs = 0
for (let round = 0; round < 25; round++) {
  const e = await createWasmBackend({ threads: 2 }); if (e._tag === 'Left') throw new Error(e.left.message)
  const { products: mm, heap, dispose } = e.right
  const alloc = (n: number) => { const t = heap.allocate([n], 'float32'); if (t._tag === 'Left') throw 0; return [heap.offset(t.right), () => e.right.backend.disposeData(t.right.dataId)] as const }
  const [a, fa] = alloc(1e5), [b, fb] = alloc(1e5), [c, fc] = alloc(1e5)
  heap.views().f32.fill(1, a / 4, a / 4 + 1e5); heap.views().f32.fill(1, b / 4, b / 4 + 1e5)
  for (let i = 0; i < 1500; i++) {
    const M = 60 + (i * 7) % 90, K = 40 + (i * 13) % 100, N = 100 + (i * 11) % 200
    mm.batchMatmul(a, b, c, 1 , M, K, N); jobs++
    const v = heap.views().f32
    for (let j = 0; j < M * N; j++) if (v[c / 4 + j] !== K) { bad++; break }
    v.fill(NaN, c / 4, c / 4 + M * N)
  }
  fa(); fb(); fc(); dispose()
}
console.log('jobs', jobs, 'bad', bad)
