import { test, type TestContext } from 'node:test'
import { nativeStatus } from '../../src/backend/native/index.ts'

/**
 * The reason why the node target cannot be tested here, if it cannot. Continuous integration installs it, so there it
 * is tested in any case.
 */
const { problem } = await nativeStatus()
export const noNode: string | undefined = process.env['CI'] ? undefined : problem

/** Declares a test of the node target, which reports its omissions if there is no TensorFlow. */
export const nodeTest = (name: string, run: (t: TestContext) => Promise<void>): void => {
  test(name, noNode === undefined ? {} : { skip: noNode }, run)
}
