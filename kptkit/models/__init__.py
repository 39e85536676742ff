"""Networks: functional Keras models without loss, data or download inside."""
