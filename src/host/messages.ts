import protobuf from 'protobufjs'

/**
 * Writes messages of a protobuf schema: the bytes of a message by its name. Map entries and list elements keep their
 * given order.
 * @throws {TypeError} if a message does not fit its schema
 * @example messagesOf('syntax = "proto3"; message Event { int64 step = 2; }')('Event', { step: 1 })
 */
export const messagesOf = (schema: string): ((name: string, message: object) => Uint8Array) => {
  const { root } = protobuf.parse(schema, { keepCase: true })
  return (name, message) => {
    const type = root.lookupType(name)
    const wrong = type.verify(message)
    if (wrong !== null) throw new TypeError(`${name}: ${wrong}`)
    return type.encode(type.create(message)).finish()
  }
}
