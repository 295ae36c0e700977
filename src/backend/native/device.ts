import * as E from '../../either/index.ts'
import { SessionError, type Device } from '../device.ts'
import type { Handle } from '../tfjs/device.ts'
import { registeredDevice } from '../tfjs/registered.ts'
import { openNative } from './load.ts'

/**
 * TensorFlow's own kernels, called one by one through tfjs-node.
 * @throws {SessionError} if there is no TensorFlow; the message tells what to install
 * @example const device = await nodeDevice()
 */
export const nodeDevice = async (): Promise<Device<Handle>> => {
  const native = await openNative()
  if (E.isLeft(native)) throw new SessionError(native.left)
  const { tensorflow, gpu } = native.right
  return registeredDevice('tensorflow', {
    title: `tfjs node, TensorFlow ${tensorflow} on ${gpu ? 'gpu' : 'cpu'}`,
    readsAtOnce: true,
    copiesToScatter: true,
    // a tensor of TensorFlow knows its sizes; its Reshape copies nothing
    view: ({ run }, x, sizes) => run('Reshape', { x }, { shape: sizes }),
  })
}
