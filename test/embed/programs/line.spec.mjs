import * as partensor from 'partensor'
import { describe, expect, test } from 'vitest'
import { lineOf } from './line.mjs'

describe('inside vitest', () => {
  test.concurrent.each(['wasm', 'cpu', 'reference'])('a line is learned on %s', async target => {
    const { first, last, found } = await lineOf(partensor, 5, target)
    expect(last).toBeLessThan(first / 10)
    expect(found).toBeGreaterThan(25)
  })
  test('a wrong shape is refused', () => {
    expect(() => partensor.matmul(partensor.f32(2, 3), partensor.f32(2, 3))).toThrow(
      'matmul: inner dims 3 and 2 differ',
    )
  })
})
