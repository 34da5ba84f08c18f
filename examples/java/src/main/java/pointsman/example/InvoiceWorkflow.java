package pointsman.example;

import java.time.Duration;
import pointsman.example.Waits.Wait;

public final class InvoiceWorkflow implements AwaitInvoice {

  private final Waits waits = new Waits();

  @Override
  public Outcome await(Invoice invoice) {
    Wait wait =
        new Wait(invoice.tenant(), "INVOICE_PAID", invoice.invoiceId(), Duration.ofMinutes(10));
    Duration timeout = Duration.ofMillis((long) (invoice.timeoutSeconds() * 1000));

    return waits
        .forEvent(wait, timeout)
        .map(paid -> new Outcome("paid", paid.eventId()))
        .orElseGet(() -> new Outcome("expired", null));
  }
}
