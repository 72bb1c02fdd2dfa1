namespace CdcOrleans.Conformance;

/// <summary>What a block of a script does.</summary>
internal enum StepKind
{
    /// <summary>SQL is sent.</summary>
    Sql,

    /// <summary><c>-- settle</c>: wait until both peers have sent the events of everything that was committed.</summary>
    Settle,

    /// <summary><c>-- stop</c>: wait as for <c>-- settle</c>, then stop both peers.</summary>
    Stop,

    /// <summary><c>-- start</c>: both peers run again.</summary>
    Start,
}

/// <summary>A block of a script.</summary>
/// <param name="Kind">What it does.</param>
/// <param name="Sql">What is sent, where it is SQL.</param>
/// <param name="Session">Name of the connection that stays open for it (<c>-- session name</c> above the SQL); null: one of its own.</param>
internal sealed record Step(StepKind Kind, string Sql = "", string? Session = null)
{
    private const string SessionMark = "-- session ";

    public static Step Parse(string block) => block switch
    {
        "-- settle" => new Step(StepKind.Settle),
        "-- stop" => new Step(StepKind.Stop),
        "-- start" => new Step(StepKind.Start),
        _ when block.StartsWith(SessionMark, StringComparison.Ordinal) && block.IndexOf('\n', StringComparison.Ordinal) is > 0 and var end =>
            new Step(StepKind.Sql, block[(end + 1)..], block[SessionMark.Length..end]),
        _ => new Step(StepKind.Sql, block),
    };
}
