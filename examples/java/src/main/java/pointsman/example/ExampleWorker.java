package pointsman.example;

import io.temporal.client.WorkflowClient;
import io.temporal.client.WorkflowClientOptions;
import io.temporal.serviceclient.WorkflowServiceStubs;
import io.temporal.serviceclient.WorkflowServiceStubsOptions;
import io.temporal.worker.WorkerFactory;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

public final class ExampleWorker {

  public static void main(String[] arguments) {
    WorkflowServiceStubs temporal =
        WorkflowServiceStubs.newConnectedServiceStubs(
            WorkflowServiceStubsOptions.newBuilder()
                .setTarget(environment("TEMPORAL_ADDRESS", "127.0.0.1:7233"))
                .build(),
            Duration.ofMinutes(1));
    WorkflowClient client =
        WorkflowClient.newInstance(
            temporal,
            WorkflowClientOptions.newBuilder()
                .setNamespace(environment("TEMPORAL_NAMESPACE", "default"))
                .build());
    WorkerFactory workers = WorkerFactory.newInstance(client);
    workers
        .newWorker("pointsman-examples-java")
        .registerWorkflowImplementationTypes(InvoiceWorkflow.class);
    workers.start(); // until SIGTERM or Ctrl-C
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(workers)));
  }

  private static void stop(WorkerFactory workers) {
    workers.shutdown();
    workers.awaitTermination(10, TimeUnit.SECONDS);
  }

  private static String environment(String name, String fallback) {
    return System.getenv().getOrDefault(name, fallback);
  }
}
