import { hostname } from 'node:os'
import { join } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { crc32c, growingFile } from '../../host/index.ts'
import { messagesOf } from '../../host/messages.ts'
import { attempt, type IoError } from '../../text/index.ts'
import { countOf, type Followed, type Follower } from './follower.ts'

/** The part of TensorFlow's events that scalars need (tensorflow/core/util/event.proto, framework/summary.proto). */
const encode = messagesOf(`
syntax = "proto3";
message Event {
  double wall_time = 1;
  int64 step = 2;
  oneof what { string file_version = 3; Summary summary = 5; }
}
message Summary {
  message Value { string tag = 1; oneof value { float simple_value = 2; } }
  repeated Value value = 1;
}
`)

/** A checksum as records hold it: rotated, so that the checksum of bytes with checksums is none of them. */
const masked = (bytes: Uint8Array): number => {
  const sum = crc32c(bytes)
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0
}

/**
 * A record of a TFRecord file: its length, the checksum of the length, the bytes, and their checksum.
 * @example tfRecord(new Uint8Array()).length // 16
 */
export const tfRecord = (bytes: Uint8Array): Uint8Array => {
  const record = Buffer.alloc(bytes.length + 16)
  record.writeBigUInt64LE(BigInt(bytes.length), 0)
  record.writeUInt32LE(masked(record.subarray(0, 8)), 8)
  record.set(bytes, 12)
  record.writeUInt32LE(masked(bytes), 12 + bytes.length)
  return record
}

/** The record that begins a file of events. */
export const versionRecord = (time: number): Uint8Array =>
  tfRecord(encode('Event', { wall_time: time / 1000, file_version: 'brain.Event:2' }))

type Scalars = Readonly<Record<string, number>>

/** The record of some scalars after a step. */
export const scalarsRecord = (scalars: Scalars, step: number, time: number): Uint8Array => {
  const value = Object.entries(scalars).map(([tag, simple_value]) => ({ tag, simple_value }))
  return tfRecord(encode('Event', { wall_time: time / 1000, step, summary: { value } }))
}

/** The scalars of an event by their tags; a step of a run without a chart has none. */
const scalarsOf = ({ event, memory }: Followed): Scalars => {
  switch (event.event) {
    case 'start':
      return { 'memory/plan': event.bytes, 'memory/process': memory }
    case 'evaluated':
      return {
        'held-out/loss': event.loss,
        ...Object.fromEntries(
          Object.entries(event.metrics ?? {}).map(([name, value]) => [`held-out/${name}`, value] as const),
        ),
      }
    case 'step': {
      const [count, unit] = countOf(event)
      return {
        'train/loss': event.loss,
        'train/learning rate': event.lr,
        'train/gradient norm': event.gradNorm,
        [`speed/${unit} per second`]: count / event.seconds,
        'memory/process': memory,
      }
    }
    default:
      return {}
  }
}

/** The number of event files of this process, which makes their names differ. */
let files = 0

/**
 * A new file of events in a folder, which TensorBoard shows as one run. Errors: the folder cannot be made or written.
 */
export const tensorboardFollower = (folder: string): TE.TaskEither<IoError, Follower> => {
  const now = Date.now()
  const seconds = Math.floor(now / 1000)
  const name = `events.out.tfevents.${String(seconds).padStart(10, '0')}.${hostname()}.${process.pid}.${files++}`
  return pipe(
    growingFile(join(folder, name), versionRecord(now)),
    TE.map(file => ({
      follow: followed => {
        const scalars = scalarsOf(followed)
        return Object.keys(scalars).length === 0
          ? TE.right(undefined)
          : file.append(scalarsRecord(scalars, followed.step, followed.time))
      },
      close: () => attempt(folder, file.close),
    })),
  )
}
