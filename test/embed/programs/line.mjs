// A line through points that follow from a slope: losses of its training, and what it predicts for 10.
export const lineOf = async (partensor, slope, target) => {
  const { compile, f32, init, model, nn, sgd, squaredError, tensor, trainStep } = partensor
  const line = model({
    params: nn.Linear('features', 1),
    batch: { x: f32('batch', 'features'), y: f32('batch', 1) },
    dims: { features: 1 },
    forward: (p, b) => nn.linear(b.x, p),
    loss: (found, b) => squaredError(found, b.y),
  })
  const points = {
    x: tensor(row => row / 8 - 0.5, ['batch', 'features'], { sizes: [9, 1] }),
    y: tensor(row => slope * (row / 8 - 0.5), ['batch', 1], { sizes: [9, 1] }),
  }
  const step = trainStep(line, sgd({ lr: 0.5 }))
  const run = await compile(step, { target, threads: 2, weights: init.params(line, { seed: slope }) })
  const losses = []
  for (let k = 0; k < 60; k++) losses.push((await run.step(points)).loss)
  const [found] = (await run.predict({ x: tensor([[10]], ['batch', 'features']) })).data
  await run[Symbol.asyncDispose]()
  return { first: losses[0], last: losses.at(-1), found }
}
