package pointsman.example;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.temporal.workflow.WorkflowInterface;
import io.temporal.workflow.WorkflowMethod;

/** Waits until an invoice is paid. */
@WorkflowInterface
public interface AwaitInvoice {

  record Invoice(
      String tenant,
      @JsonProperty("invoice_id") String invoiceId,
      @JsonProperty("timeout_seconds") double timeoutSeconds) {}

  /** The event id is null when no event came in time. */
  record Outcome(String status, @JsonProperty("event_id") String eventId) {}

  @WorkflowMethod
  Outcome await(Invoice invoice);
}
