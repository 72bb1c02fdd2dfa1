namespace CdcOrleans.Silo.Commands;

/// <summary>What the process ends with.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>Something failed while running.</summary>
    public const int Failure = 1;

    /// <summary>The configuration or something it names cannot be used; nothing was changed anywhere.</summary>
    public const int Refused = 2;
}
