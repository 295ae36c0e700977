import { deflateRawSync } from 'node:zlib'
import { crc32 } from '../../src/host/crc.ts'

/** The way in which a file is packed, and what the archive says of it. */
interface Packing {
  readonly method?: number
  readonly size?: number
  readonly checksum?: number
  readonly flags?: number
}

/** A zip archive of files: deflated unless their method is 0. */
export const zipOfAll = (files: readonly (Packing & { readonly name: string; readonly data: Buffer })[]): Buffer => {
  const locals: Buffer[] = []
  const centrals: Buffer[] = []
  let at = 0
  for (const { name, data, method = 8, size = data.length, checksum = crc32(data), flags = 0 } of files) {
    const packed = method === 8 ? deflateRawSync(data) : data
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(flags, 2)
    common.writeUInt16LE(method, 4)
    common.writeUInt32LE(checksum, 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(size, 18)
    common.writeUInt16LE(name.length, 22)
    const place = Buffer.alloc(14)
    place.writeUInt32LE(at, 10)
    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, Buffer.from(name), packed])
    at += local.length
    locals.push(local)
    centrals.push(Buffer.from('PK\u0001\u0002'), Buffer.from([20, 0]), common, place, Buffer.from(name))
  }
  const central = Buffer.concat(centrals)
  const end = Buffer.alloc(22)
  end.write('PK\u0005\u0006', 'latin1')
  end.writeUInt16LE(files.length, 8)
  end.writeUInt16LE(files.length, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...locals, central, end])
}

/** A zip archive of one file. */
export const zipOf = (name: string, data: Buffer, packing: Packing = {}): Buffer =>
  zipOfAll([{ name, data, ...packing }])
