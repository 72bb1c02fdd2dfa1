namespace CdcOrleans.Model.Sinks;

/// <summary>A circuit of a sink that is open: nothing passes but probes.</summary>
/// <param name="Destination">The destination within the sink; <c>*</c> for the whole sink.</param>
/// <param name="Error">The last failure.</param>
public sealed record OpenCircuit(string Destination, string? Error)
{
    /// <summary>Destination of the circuit of a whole sink.</summary>
    public const string WholeSink = "*";

    /// <summary>Destination and error.</summary>
    public override string ToString() => $"{Destination}: {Error}";
}
