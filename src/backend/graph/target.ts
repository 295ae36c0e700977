import * as E from '../../either/index.ts'
import { nativeModules } from '../native/modules.ts'
import type { Native } from '../native/native.ts'
import { asked, needing, type Target } from '../target.ts'

/** The answer of `available` from the TensorFlow that was found, or from the reason why none was. */
export const graphAvailable = (
  native: E.Either<string, Pick<Native, 'from' | 'gpu' | 'loadSavedModel'>>,
): E.Either<string, string> => {
  if (E.isLeft(native)) return native
  const { from, gpu, loadSavedModel } = native.right
  return loadSavedModel === undefined
    ? E.left(`${from} loads no graphs`)
    : E.right(`TensorFlow from ${from}${gpu ? ', which has a GPU' : ''}`)
}

const packages = '@tensorflow/tfjs-core'

/** The whole step as one TensorFlow graph, on the GPU if that TensorFlow has one. */
export const graphTarget = {
  name: 'graph',
  precisions: ['f32', 'bf16', 'f16'],
  needs: 'TensorFlow (`partensor native install`)',
  priority: 2,
  available: () =>
    asked(async () => {
      const { openNative } = await needing(packages, nativeModules.load)
      return graphAvailable(await openNative())
    }),
  open: async ({ precision }) => {
    const { graphEngine } = await needing(packages, nativeModules.graphEngine)
    return graphEngine({ precision })
  },
  explain: async (step, explaining) => {
    const { explainGraph } = await needing(packages, nativeModules.graphExplain)
    return explainGraph(step, explaining)
  },
  foresee: async (step, foreseeing) => {
    const { foreseeGraph } = await needing(packages, nativeModules.graphForesee)
    return foreseeGraph(step, foreseeing)
  },
  abilities: async () => {
    const { nativeXla } = await nativeModules.abilities()
    return { XLA: (await nativeXla()) === true }
  },
} as const satisfies Target
