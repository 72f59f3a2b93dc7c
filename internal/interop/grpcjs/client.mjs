// A client of another language: reads a server's load reports with @grpc/grpc-js
// and prints what it saw as one line of JSON, which the Go test judges.
//
//   node client.mjs report ADDRESS   one call's trailers and three out-of-band reports
//   node client.mjs balance A,B OOB  calls through grpc-js's weighted_round_robin
//
// It knows nothing of the server but the standard: the protos are those that
// grpc-js ships.
import { createRequire } from 'node:module';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const protos = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js/package.json')), 'proto');
const { xds } = grpc.loadPackageDefinition(protoLoader.loadSync('xds/service/orca/v3/orca.proto', {
  keepCase: true,
  includeDirs: [path.join(protos, 'xds'), path.join(protos, 'protoc-gen-validate')],
}));

// TestService/EmptyCall has empty messages, so it needs no proto.
const asIs = (bytes) => bytes;
const TestService = grpc.makeGenericClientConstructor({
  EmptyCall: {
    path: '/grpc.testing.TestService/EmptyCall',
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
});

const insecure = grpc.credentials.createInsecure();

// call makes one call and returns the reports in its trailers, decoded.
function call(client) {
  return new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + 10_000);
    client.EmptyCall(Buffer.alloc(0), new grpc.Metadata(), { deadline }, (error) => {
      // The status event, with the trailers, comes after this one.
      if (error) reject(error);
    }).on('status', (status) => {
      resolve(status.metadata.get('endpoint-load-metrics-bin')
        .map((value) => xds.data.orca.v3.OrcaLoadReport.deserialize(value)));
    });
  });
}

async function report(address) {
  const client = new TestService(address, insecure);
  const perCall = await call(client);
  client.close();

  const orca = new xds.service.orca.v3.OpenRcaService(address, insecure);
  const stream = orca.StreamCoreMetrics({ report_interval: { seconds: 0, nanos: 200_000_000 } });
  const outOfBand = await new Promise((resolve, reject) => {
    const messages = [];
    stream.on('error', (error) => {
      if (error.code !== grpc.status.CANCELLED) reject(error);
    });
    stream.on('data', (message) => {
      if (messages.push(message) === 3) {
        stream.cancel();
        resolve(messages);
      }
    });
  });
  orca.close();
  return { perCall, outOfBand };
}

async function balance(addresses, outOfBand) {
  const client = new TestService(`ipv4:${addresses}`, insecure, {
    'grpc.service_config': JSON.stringify({
      loadBalancingConfig: [{
        weighted_round_robin: {
          enable_oob_load_report: outOfBand,
          oob_load_reporting_period: '0.1s',
          blackout_period: '0s',
          weight_update_period: '0.1s',
        },
      }],
    }),
  });
  // The server counts only the calls made once the weights are known. They are
  // few, since grpc-js takes milliseconds for each per-call report.
  const steadily = async (calls) => {
    for (let i = 0; i < calls; i++) {
      await call(client);
      if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await steadily(300);
  console.log('learnt');
  await steadily(600);
  client.close();
  return {};
}

const [command, target, oob] = process.argv.slice(2);
const saw = command === 'report' ? await report(target) : await balance(target, oob === 'true');
console.log(JSON.stringify(saw));
