// onnxruntime-node, the peer, reports to its makers unless this is set before it loads.
process.env['ORT_DISABLE_TELEMETRY'] = '1';
