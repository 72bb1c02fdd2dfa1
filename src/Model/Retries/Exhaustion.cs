namespace CdcOrleans.Model.Retries;

/// <summary>
/// Tells errors of a process that lacks memory or stack from errors of the data. They pass, so what failed with one of them is tried again,
/// and never given up on.
/// </summary>
public static class Exhaustion
{
    /// <summary>Whether an error, or the error that caused it, is a lack of memory or of stack.</summary>
    public static bool IsCauseOf(Exception? exception)
    {
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is OutOfMemoryException or InsufficientExecutionStackException)
                return true;
        }

        return false;
    }
}
