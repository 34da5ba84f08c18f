import { NativeConnection, Worker } from '@temporalio/worker';

declare const console: { error(what: unknown): void };
declare const process: { env: Record<string, string | undefined>; exit(code: number): never };
declare const require: { resolve(path: string): string };

async function main(): Promise<void> {
  const address = process.env.TEMPORAL_ADDRESS ?? '127.0.0.1:7233';
  const namespace = process.env.TEMPORAL_NAMESPACE ?? 'default';
  const worker = await Worker.create({
    connection: await NativeConnection.connect({ address }),
    namespace,
    taskQueue: 'pointsman-examples-typescript',
    workflowsPath: require.resolve('./workflows'),
  });
  await worker.run(); // until SIGTERM or Ctrl-C
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
