import type { ChannelValues } from './preprocessing.ts'
import { fieldsOf, type Json } from '../../text/index.ts'

/** The longest side of a model's input. */
export const longestSide = 2 ** 14

/** Tests for a list of three numbers that fit. */
const isThree = (value: unknown, fits: (x: number) => boolean): value is ChannelValues =>
  Array.isArray(value) && value.length === 3 && value.every(x => typeof x === 'number' && fits(x))

/**
 * The fields of a configuration of images: those of {@link fieldsOf}, and one number for each channel.
 * @example imageFields(json, 'config.json').positive('std', [0.5, 0.5, 0.5])
 */
export const imageFields = (json: Json, file: string, named: (field: string) => string = field => field) => {
  const fields = fieldsOf(json, file, named)
  const channels =
    (fits: (x: number) => boolean) =>
    (field: string, fallback: ChannelValues): ChannelValues => {
      const value: unknown = json[field] ?? fallback
      if (isThree(value, fits)) return value
      throw fields.wrong(field, 'three numbers, for red, green and blue')
    }
  return { ...fields, finite: channels(Number.isFinite), positive: channels(x => Number.isFinite(x) && x > 0) }
}
