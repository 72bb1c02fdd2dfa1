using CdcOrleans.Model.Changes;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Schemas;

namespace CdcOrleans.Model.Sinks;

/// <summary>Formats a row for the API.</summary>
public interface IRowFormatter
{
    /// <summary>Formats a row as a JSON object with the same values as in events.</summary>
    string ToJson(TableSchema table, RowImage row, ValueOptions values);
}
