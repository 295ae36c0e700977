import { isRecord } from '../../text/index.ts'
import type { Offsets } from './aligned.ts'
import { spaceByte } from './bytes.ts'
import { isSpace as isWhite } from './characters.ts'

interface Piece {
  readonly token: string
  readonly offsets: Offsets
}
type Trim = <P extends Piece>(pieces: readonly P[]) => readonly P[]

const isSpace = (character: string): boolean => character === spaceByte || isWhite(character)

/**
 * Removes the spaces at the ends of tokens from their offsets; a space that was put in front of the text was never part
 * of them.
 */
const trimmed =
  (addedPrefix: boolean): Trim =>
  pieces =>
    pieces.map((piece, i) => {
      const characters = Array.from(piece.token)
      const [from, to] = piece.offsets
      const first = characters.findIndex(character => !isSpace(character))
      const last = characters.findLastIndex(character => !isSpace(character))
      const leading = first < 0 ? characters.length : first
      const trailing = characters.length - 1 - last
      const isPrefix = addedPrefix && leading === 1 && (i === 0 || from === 0)
      const start = Math.min(from + (isPrefix ? 0 : leading), to)
      return {
        ...piece,
        offsets: [start, trailing > 0 && to >= trailing ? Math.max(to - trailing, start) : to] as const,
      }
    })

/**
 * The trimming of offsets by a post-processor, as in `tokenizers`.
 * @example trimmer({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true })(pieces)
 */
export const trimmer = (config: unknown): Trim => {
  if (!isRecord(config)) return pieces => pieces
  if (config['type'] === 'Sequence' && Array.isArray(config['processors'])) {
    const steps = config['processors'].map(trimmer)
    return pieces => steps.reduce((result, step) => step(result), pieces)
  }
  const trims =
    (config['type'] === 'ByteLevel' || config['type'] === 'RobertaProcessing') && config['trim_offsets'] !== false
  return trims ? trimmed(config['add_prefix_space'] !== false) : pieces => pieces
}
