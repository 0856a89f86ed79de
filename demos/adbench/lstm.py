"""A stack of elementwise LSTM layers that predicts the next character of a text.

Shapes: gates (layers, 2, 4, b) holds weights, then biases, of forget, ingate, outgate, change; extra (3, b) the weights
into the first and out of the last layer and the bias there; state (layers, 2, b) each layer's hidden and cell values
before the text (n, b).
"""

import symdiff as sd


def symbols(layers, b):
    """Return gates, extra, state and the text, whose length is a run-time size."""
    gates, state = sd.array("gates", (layers, 2, 4, b)), sd.array("state", (layers, 2, b))
    return gates, sd.matrix("extra", 3, b), state, sd.matrix("text", "n", b)


def layer(gates, u, h, cell):
    """Return one layer's new hidden and cell values for the input u."""
    weight, bias = gates
    forget, outgate = (sd.sigmoid(u * weight[k] + bias[k]) for k in (0, 2))
    ingate, change = sd.sigmoid(h * weight[1] + bias[1]), sd.tanh(h * weight[3] + bias[3])
    cell = cell * forget + ingate * change
    return outgate * sd.tanh(cell), cell


def objective(gates, extra, state, text):
    """Return the mean loss of the predictions of characters 2 to n."""
    into, out, bias = extra

    def read(memory, character):
        u, after = character * into, []
        for k, (h, cell) in enumerate(memory):
            u, cell = layer(gates[k], u, h, cell)
            after.append(sd.stack([u, cell]))
        return sd.stack(after), u * out + bias

    _, predicted = sd.scan(read, state, text[:-1])
    # The benchmark's own source adds 2 inside the logarithm.
    log_total = sd.log(2 + sd.sum(sd.exp(predicted), axis=1, keepdims=True))
    return -sd.mean(text[1:] * (predicted - log_total))
