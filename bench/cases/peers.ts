import { installedPeer, ours } from '../measure.ts'
import { comparison, figure } from '../table.ts'
import { installJaxJs } from '../peers/install.ts'
import type { Case } from './case.ts'

const shapes = { whole: { batch: 2, seq: 256 }, quick: { batch: 1, seq: 64 } } as const

/**
 * Compares one step of four layers (hidden 576, vocabulary 4096, 2 × 256 tokens, rank 8) with the alternatives in
 * TypeScript.
 */
export const peers: Case = {
  name: 'peers',
  about: 'a 4-layer step against raw tfjs and jax-js',
  run: async ({ quick, alternate }) => {
    const jaxJs = await installJaxJs()
    const shape = quick ? shapes.quick : shapes.whole
    const mine = { model: 'four layers', warmUp: 1, steps: quick ? 2 : 5, ...shape } as const
    const raw = { warmUp: 0, steps: quick ? 1 : 2, ...shape } as const
    const found = await alternate([
      ours('PaCA, 1 thread', 'step', { ...mine, method: 'paca', threads: 1 }),
      ours('raw tfjs LoRA', 'raw-tfjs', { ...raw, method: 'lora' }, 2),
      ours('PaCA, 2 threads', 'step', { ...mine, method: 'paca', threads: 2 }),
      {
        ...installedPeer('jax-js LoRA', jaxJs, ({ node, script }) => [
          node,
          script,
          JSON.stringify({ ...shape, steps: raw.steps }),
        ]),
        rounds: 2,
      },
      ours('full, 2 threads', 'step', { ...mine, method: 'full', threads: 2 }),
      ours('raw tfjs full', 'raw-tfjs', { ...raw, method: 'full' }, 2),
    ])
    const against = (own: string, name: string, most: number) =>
      comparison(
        `4 layers: ${own}`,
        figure(found.get(own)),
        name,
        figure(found.get(name)),
        `≤ 1/${most}`,
        ratio => ratio <= 1 / most,
      )
    return {
      rows: [
        against('PaCA, 1 thread', 'raw tfjs LoRA', 6),
        against('PaCA, 2 threads', 'raw tfjs LoRA', 10),
        against('PaCA, 2 threads', 'jax-js LoRA', 4),
        against('full, 2 threads', 'raw tfjs full', 5),
      ],
      tables: [],
    }
  },
}
