/** Messages are bytes as they are: no figure pays for protobuf. @param {Buffer} bytes */
const asTheyAre = (bytes) => bytes;

export const echoMethod = {
  path: '/bench.Echo/Call',
  requestStream: false,
  responseStream: false,
  requestSerialize: asTheyAre,
  requestDeserialize: asTheyAre,
  responseSerialize: asTheyAre,
  responseDeserialize: asTheyAre,
};
