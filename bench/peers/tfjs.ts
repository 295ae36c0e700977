import { createRequire, register } from 'node:module'
import { dirname, extname } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'

const require = createRequire(import.meta.url)
/** Registers the gradients of every op, as soon as it is imported. */
const gradients: string = '@tensorflow/tfjs-core/dist/register_all_gradients.js'

/** Starts TensorFlow.js on wasm as its users have it: with gradients, and with the one thread that it has under Node. */
export const startTfjs = async (): Promise<void> => {
  // tfjs-core's build for Node leaves the gradients out; @tensorflow/tfjs registers the same ones
  register(`./extensions${extname(import.meta.url)}`, import.meta.url)
  await import(gradients)
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm'))}/`)
  await tf.setBackend('wasm')
}
