/** The checksum function of a polynomial, of 32 bits and reflected; `before` is the checksum of the bytes before. */
const checksumOf = (polynomial: number): ((bytes: Uint8Array, before?: number) => number) => {
  const remainders = Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? polynomial ^ (value >>> 1) : value >>> 1
    return value
  })
  return (bytes, before = 0) => {
    let sum = ~before
    for (let i = 0; i < bytes.length; i++) sum = remainders[(sum ^ bytes[i]!) & 0xff]! ^ (sum >>> 8)
    return ~sum >>> 0
  }
}

/**
 * CRC-32, as in zip and gzip, of bytes that follow others whose checksum is `before`.
 * @example crc32(Buffer.from('123456789')) // 0xcbf43926
 */
export const crc32 = checksumOf(0xedb88320)

/**
 * CRC-32C (Castagnoli), as in TensorFlow's records, of bytes that follow others whose checksum is `before`.
 * @example crc32c(Buffer.from('123456789')) // 0xe3069283
 */
export const crc32c = checksumOf(0x82f63b78)
