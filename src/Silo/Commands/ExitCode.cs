namespace CdcOrleans.Silo.Commands;

/// <summary>Exit codes of the process.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>Something failed while running.</summary>
    public const int Failure = 1;

    /// <summary>The configuration, or something that it names, cannot be used. Nothing was changed.</summary>
    public const int Refused = 2;
}
