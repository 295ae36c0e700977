/** The units of memory: powers of 1000, as on data sheets, by the letter that stands before B. */
const decimal = [
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['KB', 1e3],
] as const

/** A unit of memory. */
export interface ByteUnit {
  readonly unit: string
  readonly bytes: number
}

/** The unit that suits some bytes. @example byteUnit(4.7e6) // { unit: 'MB', bytes: 1_000_000 } */
export const byteUnit = (most: number): ByteUnit => {
  const [unit, bytes] = decimal.find(([, size]) => Math.abs(most) >= size) ?? (['B', 1] as const)
  return { unit, bytes }
}

const rounding = { nearest: Math.round, up: Math.ceil, down: Math.floor } as const

/**
 * Bytes in three digits. What is needed is rounded up, and what there is down, so that the text of a need is enough.
 * @example bytesText(4.72e6) // 4.72 MB
 */
export const bytesText = (bytes: number, round: keyof typeof rounding = 'nearest'): string => {
  const { unit, bytes: one } = byteUnit(bytes)
  if (one === 1) return `${rounding[round](bytes)} B`
  const digits = (n: number): number => (n >= 100 ? 0 : n >= 10 ? 1 : 2)
  const decimals = digits(Math.abs(bytes) / one)
  const step = one / 10 ** decimals
  // within a rounding error of a whole step is on it
  const steps = bytes / step
  const whole = Math.round(steps)
  const rounded =
    (Math.abs(steps - whole) < 8 * Number.EPSILON * Math.abs(whole) ? whole : rounding[round](steps)) * step
  // 999.7 KB are 1.00 MB, and 9.996 GB are 10.0 GB
  const shown = byteUnit(rounded)
  const value = rounded / shown.bytes
  return `${value.toFixed(digits(Math.abs(value)))} ${shown.unit === 'B' ? unit : shown.unit}`
}

/** The bytes of a unit, in capitals: powers of 1000, and of 1024 with an i. */
const units: Readonly<Record<string, number>> = {
  '': 1,
  'B': 1,
  ...Object.fromEntries(
    ['K', 'M', 'G', 'T'].flatMap((letter, i) => [
      [letter, 1e3 ** (i + 1)],
      [`${letter}B`, 1e3 ** (i + 1)],
      [`${letter}I`, 1024 ** (i + 1)],
      [`${letter}IB`, 1024 ** (i + 1)],
    ]),
  ),
}

/** Texts of bytes, for messages about others. */
export const exampleBytes = '900MB, 4GB, 1.5GiB or 900000000'

/**
 * Reads a number of bytes, which is whole and above 0; undefined if it is none, or too large to be counted.
 * @example byteCount('1.5GiB') // 1_610_612_736
 */
export const byteCount = (text: string): number | undefined => {
  const [, number = '', unit = ''] = /^\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? []
  const bytes = Math.floor(Number(number === '' ? Number.NaN : number) * (units[unit.toUpperCase()] ?? Number.NaN))
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
}
