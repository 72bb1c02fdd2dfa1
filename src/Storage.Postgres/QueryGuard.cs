using CdcOrleans.Model.Storage;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Runs questions over the small pool, and turns its troubles into <see cref="StateUnavailableException"/>.</summary>
internal static class QueryGuard
{
    /// <summary>Runs a question.</summary>
    public static async Task<T> Run<T>(Func<Task<T>> question)
    {
        try
        {
            return await question();
        }
        catch (NpgsqlException busy) when (busy is not PostgresException && busy.Message.Contains("pool", StringComparison.Ordinal))
        {
            throw new StateUnavailableException(
                $"All {ControlConnection.MostQueries} connections that a silo has for questions to the control database are in use. "
                + "Remedy: ask less at the same time, and ask again in a moment.",
                busy);
        }
        catch (PostgresException full) when (full.SqlState.StartsWith("53", StringComparison.Ordinal))
        {
            throw new StateUnavailableException(
                $"The control database lacks resources: {full.MessageText} ({full.SqlState}). Remedy: give its server more disk space, memory or connections, as the message says.", full);
        }
        catch (NpgsqlException trouble) when (trouble.IsTransient)
        {
            throw new StateUnavailableException(
                "The control database does not answer. Remedy: check that its server runs and can be reached, and ask again.", trouble);
        }
    }
}
